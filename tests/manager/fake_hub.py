"""A Hugging Face hub on 127.0.0.1: what the client library asks of the real one, and its faults."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

from tests.manager.loopback import Loopback

COMMIT = "c0ffee" + "0" * 34


@dataclass
class Request:
    method: str
    path: str
    range: str
    authorization: str


@dataclass
class FakeHub(Loopback):
    """Serves ``files``, the same of each of its ``repos``; its other fields are the faults to play.

    Attributes:
        files: name -> content.
        repos: the repositories there are.
        requests: what was asked, in order.
        statuses: answers to give instead, first come first served: (method, status, headers).
        drop_after: bytes after which a file's body is cut off, one entry per answer.
        stall: bodies stop in the middle and stay silent.
        ignores_ranges: answers 200 with the whole body to a Range request.
        swaps: name -> other bytes of the same length to send in its place.
        through_cdn: files are redirected to another address, as large files are: to ``cdn``, or to
            this server.
        etagless: answers without digests, as a network's login page does.
        etag: what every file is called instead of its digest.
    """

    files: dict[str, bytes]
    repos: tuple[str, ...] = ("org/Model",)
    requests: list[Request] = field(default_factory=list)
    statuses: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)
    drop_after: list[int] = field(default_factory=list)
    stall: bool = False
    ignores_ranges: bool = False
    swaps: dict[str, bytes] = field(default_factory=dict)
    through_cdn: bool = False
    cdn: str = ""
    etagless: bool = False
    etag: str = ""
    url: str = ""
    woken: threading.Event = field(default_factory=threading.Event)

    def asked(self, method: str, name: str) -> list[Request]:
        return [r for r in self.requests if r.method == method and r.path.endswith(f"/{name}")]

    def __enter__(self) -> FakeHub:
        port = self.listen(type("Handler", (_Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{port}"
        return self


class _Handler(BaseHTTPRequestHandler):
    hub: ClassVar[FakeHub]
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub = self.hub
        hub.requests.append(
            Request(
                self.command,
                self.path,
                self.headers.get("Range", ""),
                self.headers.get("Authorization", ""),
            )
        )
        for fault in hub.statuses:
            if fault[0] == self.command:
                hub.statuses.remove(fault)
                return self._send(fault[1], fault[2])
        name = self.path.removeprefix("/cdn/")
        on_cdn = name != self.path
        if not on_cdn:
            repo, _, rest = self.path.removeprefix("/").partition("/resolve/")
            if repo not in hub.repos:
                return self._send(401, {"X-Error-Code": "RepoNotFound"})
            name = rest.partition("/")[2]
        if name not in hub.files:
            return self._send(404, {"X-Error-Code": "EntryNotFound"})
        self._serve(name, on_cdn)
        return None

    def _serve(self, name: str, on_cdn: bool) -> None:
        hub, body = self.hub, self.hub.files[name]
        etag = hub.etag or hashlib.sha256(body).hexdigest()
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{etag}"'}
        if hub.etagless:
            headers = {}
        if hub.through_cdn and not on_cdn:
            linked = {
                "X-Linked-Size": str(len(body)),
                "X-Linked-ETag": headers["ETag"],
                "Location": f"{hub.cdn or hub.url}/cdn/{name}",
            }
            return self._send(302, {"X-Repo-Commit": COMMIT, **linked})
        body = hub.swaps.get(name, body)
        wanted = self.headers.get("Range", "")
        status = 200
        if wanted and not hub.ignores_ranges:
            first = int(wanted.removeprefix("bytes=").rstrip("-"))
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
            status, body = 206, body[first:]
        self._send(status, headers, body)
        return None

    def _send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        hub = self.hub
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD" or not body:
            return
        if hub.stall:
            self.wfile.write(body[: len(body) // 2])
            hub.woken.wait(20)
            self.close_connection = True
        elif hub.drop_after:
            self.wfile.write(body[: hub.drop_after.pop(0)])
            self.wfile.flush()
            time.sleep(0.05)
            self.close_connection = True
        else:
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass
