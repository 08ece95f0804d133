"""An address of a LoRA never leads into one's own network, nor to a server under another's name."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.manager.lora_files import quiet, web
from tests.manager.tls_server import TlsServer, tell
from wan_core.lora.shelf import list_loras
from wan_core.manager import public_hosts
from wan_core.manager.lora_address import WebFile
from wan_core.manager.lora_download import fetch_lora
from wan_core.manager.public_hosts import is_public, open_public
from wan_core.schema import DownloadError, Settings


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
        "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "nonsense", "",
    ],
)  # fmt: skip
def test_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_others_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433", "127.1"])
def test_the_own_machine_is_not_asked(settings: Settings, host: str) -> None:
    """In whatever way it is written; nothing listens there that could be asked by accident."""
    with pytest.raises(DownloadError, match=r"within a private network|could not be downloaded"):
        fetch_lora(WebFile(f"https://{host}:9/x.safetensors"), settings, quiet)


def test_a_redirect_into_the_own_network_is_not_followed(
    settings: Settings, server: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first address is taken for public here, the second is what it is."""
    judged: list[str] = []

    def judge(address: str) -> bool:
        judged.append(address)
        return len(judged) == 1

    monkeypatch.setattr(public_hosts, "is_public", judge)
    server.answers = [tell(302, {"Location": f"https://127.0.0.1:{server.port}/a/paper.safetensors"})]
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1 is at 127\.0\.0\.1, within a private network"):
        fetch_lora(web(server), settings, quiet)
    assert len(server.asked) == 1
    assert list_loras(settings) == []


def test_a_name_is_looked_up_once_and_the_connection_goes_where_was_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that is public when judged and private when used (rebinding) leads nowhere."""
    answers = [[(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 443))]]
    connected: list[Any] = []

    class Plain:
        def __init__(self, *kind: Any) -> None:
            pass

        def settimeout(self, seconds: float) -> None:
            pass

        def connect(self, place: Any) -> None:
            connected.append(place)

    def look_up(*asked: Any, **named: Any) -> Any:
        return answers.pop(0)  # a second time fails

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "socket", Plain)
    open_public("rebinding.example", 443)
    assert connected == [("93.184.216.34", 443)]


def test_of_several_addresses_only_public_ones_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *a, **k: [(*kind, ("10.0.0.1", 443)), (*kind, ("127.0.0.1", 443))]
    )
    with pytest.raises(DownloadError, match=r"is at 10\.0\.0\.1, within a private network"):
        open_public("mixed.example", 443)


def test_a_certificate_for_another_name_is_refused(
    settings: Settings, server: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **k: plain("127.0.0.1", *a, **k))
    with pytest.raises(DownloadError, match="SSLCertVerificationError"):
        fetch_lora(WebFile(f"https://other.example:{server.port}/a/paper.safetensors"), settings, quiet)
    assert server.asked == []
