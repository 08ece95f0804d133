"""LoRAs by address: from a fake hub and over https; whole, resumed, cancelled, refused, never elsewhere."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from tests.manager.fake_hub import FakeHub
from tests.manager.lora_files import FILE, lora, quiet, web
from tests.manager.tls_server import TlsServer, tell
from wan_core import cli_loras
from wan_core.cli import main
from wan_core.lora.shelf import list_loras
from wan_core.manager import lora_download, web_transfer
from wan_core.manager.lora_address import HubFile, read_address
from wan_core.manager.lora_download import Arrived, fetch_lora
from wan_core.manager.lora_errands import LoraErrands
from wan_core.manager.weights import WeightStore
from wan_core.schema import Cancelled, DownloadError, InvalidRequest, ProgressEvent, Settings, WeightsError
from wan_core.schema.status import JobStatus

FLUX = save({"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": torch.ones(4, 8)})
HUB_FILE = HubFile("org/Model", "main", "sub/Paper cut.safetensors")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setattr("wan_core.manager.transfer.RETRY_SECONDS", 0.02)
    with FakeHub({"sub/Paper%20cut.safetensors": FILE, "flux.safetensors": FLUX}) as running:
        yield running


def left(settings: Settings) -> list[Path]:
    return [path for path in (settings.loras_dir / ".arriving").rglob("*") if path.is_file()]


# -- from the hub -----------------------------------------------------------------------------------


def test_a_file_of_the_hub_is_a_lora_here(settings: Settings, hub: FakeHub) -> None:
    events: list[ProgressEvent] = []
    arrived = fetch_lora(HUB_FILE, settings, events.append, hub.url)
    assert arrived == Arrived("Paper cut.safetensors", hashlib.sha256(FILE).hexdigest())
    assert (settings.loras_dir / arrived.name).read_bytes() == FILE
    assert list_loras(settings) == ["Paper cut.safetensors"]
    assert (events[-1].step, events[-1].total) == (len(FILE), len(FILE))
    assert left(settings) == []


def test_what_is_there_is_never_replaced(settings: Settings, hub: FakeHub) -> None:
    settings.loras_dir.mkdir(parents=True)
    (settings.loras_dir / "Paper cut.safetensors").write_bytes(b"mine")
    first = fetch_lora(HUB_FILE, settings, quiet, hub.url)
    assert (first.name, first.renamed) == ("Paper cut-2.safetensors", True)
    again = fetch_lora(HUB_FILE, settings, quiet, hub.url)
    assert (again.name, again.known) == ("Paper cut-2.safetensors", True)
    assert (settings.loras_dir / "Paper cut.safetensors").read_bytes() == b"mine"
    assert len(list_loras(settings)) == 2


def test_the_hubs_errors_speak_of_the_address(settings: Settings, hub: FakeHub) -> None:
    with pytest.raises(DownloadError, match=r"no such file \(404\); check the address") as told:
        fetch_lora(HubFile("org/Model", "main", "gone.safetensors"), settings, quiet, hub.url)
    assert "official" not in str(told.value)
    assert "Wan Studio" not in str(told.value)
    with pytest.raises(DownloadError, match="log in with"):
        fetch_lora(HubFile("org/Other", "main", "x.safetensors"), settings, quiet, hub.url)


def test_a_download_of_the_hub_goes_on_where_it_stopped(settings: Settings, hub: FakeHub) -> None:
    def stop(event: ProgressEvent) -> None:
        if event.step:
            raise Cancelled

    hub.stall = True
    with pytest.raises(Cancelled):
        fetch_lora(HUB_FILE, settings, stop, hub.url)
    kept = sum(path.stat().st_size for path in left(settings) if path.suffix == ".part")
    assert 0 < kept < len(FILE)
    hub.stall = False
    fetch_lora(HUB_FILE, settings, quiet, hub.url)
    assert hub.requests[-1].range.startswith("bytes=")
    assert (settings.loras_dir / "Paper cut.safetensors").read_bytes() == FILE


def test_too_large_for_a_lora_is_refused_before(
    settings: Settings, hub: FakeHub, server: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lora_download, "LARGEST", 1000)
    for source in (HUB_FILE, web(server)):
        with pytest.raises(DownloadError, match="whole models go into a folder of models"):
            fetch_lora(source, settings, quiet, hub.url)
    assert not hub.asked("GET", "sub/Paper%20cut.safetensors")
    assert list_loras(settings) == []


# -- what is no LoRA --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (FLUX, "looks like a LoRA for Flux, not for Wan, and was thrown away"),
        (lora(width=17), "fits no part of any model of this studio and was thrown away"),
        (save({"x.weight": torch.ones(3)}), "fits no part of any model"),
        (FILE[:-4], "is damaged or no LoRA, and was thrown away: it is cut short"),
        (FILE + b"PK", "is damaged or no LoRA, and was thrown away: it has 2 bytes more"),
        (b"<!DOCTYPE html><html>log in", "is no safetensors file, perhaps the page of a login"),
        (b"\x80\x02}q\x00.   and so on", "is no safetensors file"),
    ],
)
def test_only_loras_for_wan_are_kept(
    settings: Settings, server: TlsServer, content: bytes, problem: str
) -> None:
    server.files["/a/paper.safetensors"] = content
    with pytest.raises(WeightsError) as told:
        fetch_lora(web(server), settings, quiet)
    assert problem in str(told.value)
    assert list_loras(settings) == []
    assert [path for path in left(settings) if path.stat().st_size and path.suffix != ".json"] == []


# -- over https -------------------------------------------------------------------------------------


def test_any_address_with_https_and_nothing_of_a_person_is_sent(
    settings: Settings, server: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    arrived = fetch_lora(web(server), settings, quiet)
    assert (settings.loras_dir / "paper.safetensors").read_bytes() == FILE
    assert arrived.sha256 == hashlib.sha256(FILE).hexdigest()
    [(_, headers)] = server.asked
    assert set(headers) == {"Host", "User-Agent", "Accept-Encoding"}


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="My LoRA v2.safetensors"', "My LoRA v2.safetensors"),
        ('attachment; filename="../../../etc/evil.safetensors"', "evil.safetensors"),
        ('attachment; filename="a\\\\..\\\\b.safetensors"', "b.safetensors"),
        ("attachment; filename*=UTF-8''%E7%BA%B8.safetensors", "纸.safetensors"),
        ('attachment; filename=".hidden.safetensors"', "hidden.safetensors"),
        ('attachment; filename="CON.safetensors"', "_CON.safetensors"),
        ('attachment; filename="x?<>|*.safetensors"', "x.safetensors"),
        ("", "22.safetensors"),
    ],
)
def test_names_are_harmless(settings: Settings, server: TlsServer, disposition: str, name: str) -> None:
    server.files["/api/download/models/22"] = FILE
    server.headers["Content-Disposition"] = disposition
    arrived = fetch_lora(web(server, "/api/download/models/22?token=secret"), settings, quiet)
    assert arrived.name == name
    assert [path.name for path in settings.loras_dir.iterdir() if path.is_file()] == [name]


def test_what_is_cut_off_goes_on_with_the_same_version(settings: Settings, server: TlsServer) -> None:
    server.drop_after = [1000, 500]
    fetch_lora(web(server), settings, quiet)
    ranges = [(headers.get("Range"), headers.get("If-Range")) for _, headers in server.asked]
    assert ranges == [(None, None), ("bytes=1000-", '"v1"'), ("bytes=1500-", '"v1"')]
    assert (settings.loras_dir / "paper.safetensors").read_bytes() == FILE


def test_another_version_is_begun_anew(
    settings: Settings, server: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.drop_after = [1000]
    newer = lora(rank=5)

    def change(event: ProgressEvent) -> None:
        if event.step >= 1000 and server.headers["ETag"] == '"v1"':
            server.headers["ETag"], server.files["/a/paper.safetensors"] = '"v2"', newer

    monkeypatch.setattr(web_transfer, "RETRY_SECONDS", 1.0)  # time to be told of what has arrived
    fetch_lora(web(server), settings, change)
    assert (settings.loras_dir / "paper.safetensors").read_bytes() == newer


def test_a_silent_server_does_not_delay_a_cancellation(settings: Settings, server: TlsServer) -> None:
    server.stall = True

    def stop(event: ProgressEvent) -> None:
        if event.step:
            raise Cancelled

    began = time.monotonic()
    with pytest.raises(Cancelled):
        fetch_lora(web(server), settings, stop)
    while any(thread.name.startswith("download") for thread in threading.enumerate()):
        assert time.monotonic() - began < 10, "it still listens"
        time.sleep(0.02)
    server.stall = False
    fetch_lora(web(server), settings, quiet)
    assert "Range" in server.asked[-1][1]
    assert list_loras(settings) == ["paper.safetensors"]


def test_a_full_disk_is_said_before(
    settings: Settings, server: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 100))
    with pytest.raises(DownloadError, match="a tenth more must stay free"):
        fetch_lora(web(server), settings, quiet)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (tell(401), r"asks for a login.*\(401\)"),
        (tell(403), r"refuses it.*\(403\)"),
        (tell(404), r"has no such file; check the address \(404\)"),
        (tell(302, {"Location": "http://models.example/x"}), "without https"),
        (tell(302, {"Location": "https://user:pass@models.example/x"}), "or with a login"),
        (tell(302, {"Location": "file:///etc/passwd"}), "without https"),
        (tell(200, {"Content-Length": "", "Transfer-Encoding": "chunked"}), "does not say how large it is"),
        (tell(200, {"Content-Encoding": "gzip"}, 100), "does not say how large it is"),
    ],
)
def test_answers_that_are_refused(settings: Settings, server: TlsServer, answer: Any, problem: str) -> None:
    server.answers = [answer]
    with pytest.raises(DownloadError, match=problem) as told:
        fetch_lora(web(server, "/a/paper.safetensors?token=secret"), settings, quiet)
    assert "secret" not in str(told.value)


def test_redirects_are_followed_a_few_times(settings: Settings, server: TlsServer) -> None:
    server.answers = [
        tell(302, {"Location": "/b"}),
        tell(307, {"Location": f"{server.url}/a/paper.safetensors"}),
    ]
    assert fetch_lora(web(server, "/x"), settings, quiet).name == "paper.safetensors"
    server.answers = [tell(302, {"Location": "/round"})] * 10
    with pytest.raises(DownloadError, match="sends on more than 6 times"):
        fetch_lora(web(server, "/round"), settings, quiet)


def test_a_server_out_of_order_is_asked_again(settings: Settings, server: TlsServer) -> None:
    server.answers = [tell(503), tell(500)]
    fetch_lora(web(server), settings, quiet)
    server.answers = [tell(503)] * 20
    with pytest.raises(DownloadError, match="out of order"):
        fetch_lora(web(server, "/a/other.safetensors"), settings, quiet)


# -- in the background, and on the command line -----------------------------------------------------


def wait(errands: LoraErrands) -> Any:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        [arrival] = errands.all()
        if arrival.state.is_final:
            return arrival
        time.sleep(0.02)
    raise AssertionError("it does not end")


def test_errands_fetch_cancel_and_go_on(settings: Settings, hub: FakeHub) -> None:
    hub.stall = True
    errands = LoraErrands(WeightStore(settings, endpoint=hub.url))
    key = errands.begin(f"{hub.url}/org/Model/resolve/main/sub/Paper%20cut.safetensors?token=secret")
    assert errands.begin(f"{hub.url}/org/Model/blob/main/sub/Paper%20cut.safetensors") == key
    until = time.monotonic() + 20
    while not errands.all()[0].step and time.monotonic() < until:
        time.sleep(0.02)
    errands.cancel(key)
    assert wait(errands).state is JobStatus.CANCELLED
    hub.stall = False
    errands.begin(f"{hub.url}/org/Model/blob/main/sub/Paper%20cut.safetensors")
    done = wait(errands)
    assert (done.state, done.arrived.name) == (JobStatus.DONE, "Paper cut.safetensors")
    assert "secret" not in repr(errands.all())
    errands.forget(key)
    assert errands.all() == []
    errands.begin(f"{hub.url}/org/Model/blob/main/flux.safetensors")
    assert "for Flux" in wait(errands).error
    errands.stop()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lora")]


def test_an_offline_studio_fetches_nothing(settings: Settings) -> None:
    errands = LoraErrands(WeightStore(settings.model_copy(update={"offline": True})))
    with pytest.raises(InvalidRequest, match="the studio is offline"):
        errands.begin("a/b/c.safetensors")
    errands.stop()


def test_the_command_line_adds_and_lists(
    settings: Settings, hub: FakeHub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for function in (read_address, fetch_lora):
        monkeypatch.setattr(cli_loras, function.__name__, partial(function, endpoint=hub.url))
    home = ["--home", str(settings.home)]
    assert main(["lora", "add", f"{hub.url}/org/Model/blob/main/sub/Paper%20cut.safetensors", *home]) == 0
    told = capsys.readouterr()
    assert told.out == f"{settings.loras_dir / 'Paper cut.safetensors'}\n"
    assert hashlib.sha256(FILE).hexdigest() in told.err
    assert main(["lora", "list", *home]) == 0
    assert capsys.readouterr().out.startswith("Paper cut.safetensors")
    assert main(["lora", *home]) == 0
    assert main(["lora", "add", *home]) == 2
    assert main(["lora", "add", "http://example.org/x.safetensors", *home]) == 2
    assert main(["lora", "add", "a/b/c.safetensors", "--offline", *home]) == 2
    assert "the studio is offline" in capsys.readouterr().err
    assert main(["lora", "add", "org/Model/flux.safetensors", *home]) == 1
    assert "Flux" in capsys.readouterr().err
