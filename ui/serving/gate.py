"""What is asked of every HTTP request before Gradio sees it.

Gradio brings more routes than this page uses, answers any host name and takes bodies of any size. The gate
knows nothing about jobs: it closes doors that nobody here needs.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 2**20
"""Bytes of a request; the longest prompt is a tenth of it."""

MAX_UPLOAD = 2**29
"""Bytes of a request that brings a picture or a video."""

_API = "/gradio_api/"
_UPLOAD = _API + "upload"
_CLOSED = (
    "proxy=",
    "process_recording",
    "component_server",
    "monitoring",
    "file=http",
    "file=/http",
)
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "object-src 'none'; base-uri 'self'; "
    "frame-ancestors 'self' https://huggingface.co",
}


def is_loopback(host: str) -> bool:
    """Whether a host name or address, without a port, means this very machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Gate:
    """ASGI middleware.

    Args:
        app: what comes behind.
        local: the page is for this machine only, so a request under another name comes from a page that
            has its name point here, and one from another origin from a page that was merely visited.
    """

    def __init__(self, app: ASGIApp, local: bool) -> None:
        self._app = app
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(
            scope.get("root_path", "")
        )  # a page below a folder is asked the same
        refusal = self._refusal(path, Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, _with_headers(send))

    def _refusal(self, path: str, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "")
        if self._local and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            return _refuse(421)
        origin = headers.get("origin")
        if self._local and origin is not None and urlsplit(origin).netloc != host:
            return _refuse(403)
        if path.startswith(tuple(_API + closed for closed in _CLOSED)):
            return _refuse(404)
        if path == _UPLOAD and headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return _refuse(403)
        if "transfer-encoding" in headers:
            return _refuse(411)
        length = headers.get("content-length", "0")
        if path == _UPLOAD:
            if not length.isdecimal() or int(length) > MAX_UPLOAD:
                return PlainTextResponse(_TOO_LARGE, 413)
        elif not length.isdecimal() or int(length) > MAX_BODY:
            return _refuse(413)
        return None


_WORDS = {
    403: "Requests from other sites are refused.",
    404: "Not found.",
    411: "Say how long the request is.",
    413: "The request is too large.",
    421: "This page is only served under the name of this machine.",
}
_TOO_LARGE = f"The file is larger than {MAX_UPLOAD // 2**20} MiB; shorten it or make it smaller."


def _refuse(status: int) -> PlainTextResponse:
    return PlainTextResponse(_WORDS[status], status)


def _with_headers(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return with_headers
