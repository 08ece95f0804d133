from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.manager.fake_hub import FakeHub
from tests.manager.lora_files import FILE
from tests.manager.tls_server import NAME, TlsServer
from wan_core.catalog import ModelSpec, Role, WeightFiles, find_model
from wan_core.manager import public_hosts, transfer, web_transfer
from wan_core.schema import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setattr(transfer, "RETRY_SECONDS", 0.02)
    files = {
        "dit.safetensors": bytes(range(256)) * 400,
        "t5.pth": b"t5" * 20_000,
        "vae.pth": b"vae" * 1000,
        "google/umt5-xxl/tokenizer.json": b"{}",
    }
    with FakeHub(files) as running:
        yield running


@pytest.fixture
def spec(hub: FakeHub) -> ModelSpec:
    """A model whose files are the fake hub's."""
    roles = {
        Role.TRANSFORMER: "dit.safetensors",
        Role.TEXT_ENCODER: "t5.pth",
        Role.VAE: "vae.pth",
    }
    tokenizer = "google/umt5-xxl/tokenizer.json"
    return replace(
        find_model("wan2.1-t2v-1.3b"),
        id="small",
        title="Small",
        repo="org/Model",
        revision="main",
        weights={role: WeightFiles((name,), len(hub.files[name])) for role, name in roles.items()},
        tokenizer=WeightFiles((tokenizer,), len(hub.files[tokenizer])),
    )


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TlsServer]:
    """A server that the studio takes for one of the internet."""
    monkeypatch.setattr(web_transfer, "RETRY_SECONDS", 0.02)
    plain = socket.getaddrinfo

    def look_up(host: str, *more: Any, **named: Any) -> Any:
        return plain("127.0.0.1" if host == NAME else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(public_hosts, "is_public", lambda address: address == "127.0.0.1")
    with TlsServer(tmp_path, {"/a/paper.safetensors": FILE}) as running:
        context = ssl.create_default_context(cafile=str(running.certificate))
        monkeypatch.setattr(public_hosts, "trusted", lambda: context)
        yield running
