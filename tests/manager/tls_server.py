"""A server with https on 127.0.0.1, with a certificate of its own, and the faults of the web."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import pytest

from tests.manager.loopback import Loopback

Answer = Callable[[BaseHTTPRequestHandler], None]

NAME = "models.example"
"""What its certificate is for."""


@dataclass
class TlsServer(Loopback):
    """Serves ``files`` by path; ``answers`` are given instead, once each, in order.

    ``asked`` are (path, headers) in order. ``drop_after``: bytes after which a body ends, one for each
    answer. ``stall``: bodies stop in the middle.
    """

    folder: Path
    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"v1"'})
    answers: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    drop_after: list[int] = field(default_factory=list)
    stall: bool = False
    woken: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.port}"

    @property
    def certificate(self) -> Path:
        return self.folder / "cert.pem"

    def __enter__(self) -> TlsServer:
        if not shutil.which("openssl"):
            pytest.skip("openssl, which makes the certificate, is not on this machine")
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            f"/CN={NAME}",
        ]
        command += ["-addext", f"subjectAltName=DNS:{NAME}", "-keyout", "key.pem", "-out", "cert.pem"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.folder / "key.pem")
        self.port = self.listen(type("Handler", (_Handler,), {"owner": self}), context)
        return self


class _Handler(BaseHTTPRequestHandler):
    owner: ClassVar[TlsServer]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        owner = self.owner
        owner.asked.append((self.path, dict(self.headers)))
        self.close_connection = True
        if owner.answers:
            owner.answers.pop(0)(self)
            return
        body = owner.files.get(self.path.partition("?")[0])
        if body is None:
            tell(404)(self)
            return
        status, headers = 200, dict(owner.headers)
        wanted = self.headers.get("Range", "")
        if wanted and self.headers.get("If-Range") == headers.get("ETag"):
            first = int(wanted.removeprefix("bytes=").rstrip("-"))
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
            status, body = 206, body[first:]
        tell(status, headers, len(body))(self)
        if owner.stall:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            owner.woken.wait(20)
        else:
            self.wfile.write(body[: owner.drop_after.pop(0)] if owner.drop_after else body)

    def log_message(self, *args: object) -> None:
        pass


def tell(status: int, headers: dict[str, str] | None = None, length: int = 0) -> Answer:
    """An answer without a body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(length), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()

    return answer
