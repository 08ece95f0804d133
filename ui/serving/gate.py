"""What is asked of every request before Gradio sees it.

Gradio brings more routes than this page uses, answers any host name, takes bodies of any size, fetches
addresses that are called files, and tells in its errors where things lie. The gate knows nothing about jobs:
it closes doors that nobody here needs, and says who is asking.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.links import NAMING, PLACING
from ui.serving import gate_json
from ui.serving.gate_answers import BEGUN, STATUS, Answering, refusal
from ui.serving.gate_bodies import Gone, TooLarge, TooSlow, going_on, read_body, replayed
from ui.serving.gate_routes import ENDPOINTS, FILE, JOIN, PREDICT, Route, find_route
from ui.serving.house import House
from ui.serving.visiting import Guest, guest_of
from wan_core.jobs.visitors import VISITOR

log = logging.getLogger(__name__)

_FORM = 2**16
_SHOWN = {".mp4": "video/mp4", ".webm": "video/webm", ".gif": "image/gif", ".webp": "image/webp"} | {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}


class Gate:
    """ASGI middleware, the outermost of ours: what comes behind it has a name that is known, an address that
    is there, and a body that is as it has to be.
    """

    def __init__(self, app: ASGIApp, house: House) -> None:
        self._app, self._house = app, house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing here speaks over a websocket
            await send({"type": "websocket.close", "code": 1008})
            return
        house, headers = self._house, Headers(scope=scope)
        guest = guest_of(scope, headers, house.access)
        answering = Answering(send, house.headers, guest.cookie)
        try:
            await self._let_in(scope, receive, answering, guest)
        finally:
            if answering.status:  # else whoever asked has left
                house.answered[answering.status] += 1

    async def _let_in(self, scope: Scope, receive: Receive, answering: Answering, guest: Guest) -> None:
        house, headers = self._house, Headers(scope=scope)
        language, path = self._place(scope)
        refused = _foreign(house, scope["method"], headers)
        route = find_route(scope["method"], path, house.access.mode) if refused is None else None
        if refused is None:
            refused = refusal(404) if route is None else self._too_much(route, headers, guest)
        if refused is None and path in house.probes:
            refused = house.probes[path](headers)
        if refused is not None:
            await refused(scope, receive, answering.as_it_is())
            return
        VISITOR.set(guest.visitor)
        STATUS.set([400])
        BEGUN.set([] if route.kind == "call" else [True])
        if house.access.public:
            NAMING.set(partial(house.files.name, visitor=guest.visitor))
            PLACING.set(partial(house.files.path, visitor=guest.visitor))
        await _HANDLERS[route.kind](self, (scope, receive, answering), guest, language)

    def _place(self, scope: Scope) -> tuple[str, str]:
        """The language of the page that is meant, and the address below it."""
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        language = path.split("/")[1]
        if language in self._house.functions and language:
            return language, path.removeprefix(f"/{language}") or "/"
        return "", path

    def _too_much(self, route: Route, headers: Headers, guest: Guest) -> Response | None:
        """A refusal of what is too large or too often."""
        house, plain = self._house, route.kind == "upload"
        if "transfer-encoding" in headers:
            return refusal(411, plain=plain)
        length = headers.get("content-length", "0")
        most = {"upload": house.limits.upload, "login": _FORM}.get(route.kind, house.limits.body)
        if not (length.isascii() and length.isdecimal() and len(length) < 16) or int(length) > most:
            words = f"The file is larger than {most // 10**6} MB; shorten it or make it smaller."
            return refusal(413, words if plain else "", plain)
        if route.kind == "login" and house.logins.is_full(guest.address):
            return refusal(429, "Too many wrong passwords; wait a minute.")
        if route.method != "GET" and not (house.posts.takes(guest.key) and house.all_posts.takes("")):
            return refusal(429, plain=plain)
        if route.kind == "stream" and house.streams[guest.key] >= house.limits.streams:
            return refusal(429, "The page is open too many times; close some.")
        return None

    # -- kinds of routes ---------------------------------------------------------------------------

    async def _page(self, asked: _Asked, guest: Guest, language: str) -> None:
        await self._app(*asked)

    async def _stream(self, asked: _Asked, guest: Guest, language: str) -> None:
        streams = self._house.streams
        streams[guest.key] += 1
        try:
            await self._app(*asked)
        finally:
            streams[guest.key] -= 1
            if not streams[guest.key]:
                del streams[guest.key]

    async def _login(self, asked: _Asked, guest: Guest, language: str) -> None:
        await self._with_body(asked, _FORM, lambda body: body)
        if asked[2].status >= 400:
            self._house.logins.count(guest.address)

    async def _tool(self, asked: _Asked, guest: Guest, language: str) -> None:
        def checked(body: bytes) -> bytes:
            if body:
                gate_json.parse(body)
            return body

        await self._with_body(asked, self._house.limits.body, checked)

    async def _call(self, asked: _Asked, guest: Guest, language: str) -> None:
        scope, house = asked[0], self._house
        host = Headers(scope=scope).get("host", "")
        path = self._place(scope)[1].removesuffix("/")
        functions = house.functions.get(language) if path in (PREDICT, JOIN) else None

        def is_own(url: str) -> bool:
            return gate_json.is_on(url, host) or house.names.is_own(url, host)

        def checked(body: bytes) -> bytes:
            values = gate_json.parse(body)
            gate_json.check_files(values, is_own)
            gate_json.check_call(values, functions, path == PREDICT)
            if path in ENDPOINTS:
                gate_json.check_endpoint(values, ENDPOINTS[path])
            if house.access.public:
                path_of = partial(house.path_of, visitor=guest.visitor)
                return json.dumps(gate_json.replace_names(values, path_of)).encode()
            if path in ENDPOINTS and set(values) == {
                "data"
            }:  # else Gradio copies the whole page for the call
                return json.dumps({**values, "session_hash": house.session}).encode()
            return body

        if house.access.public:
            asked[2].change = house.without_places
        await self._with_body(asked, house.limits.body, checked)

    async def _with_body(self, asked: _Asked, most: int, checked: Callable[[bytes], bytes]) -> None:
        """Hand a body on that was read and found right."""
        scope, receive, answering = asked
        try:
            body = checked(await read_body(receive, most, self._house.limits.body_seconds))
        except Gone:
            return
        except TooLarge:
            refused = refusal(413)
        except TooSlow:
            refused = refusal(408)
        except gate_json.Refused as error:
            refused = refusal(400, str(error))
        else:
            length = (b"content-length", str(len(body)).encode())
            others = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
            try:
                await self._app({**scope, "headers": [*others, length]}, replayed(body, receive), answering)
                return
            except Exception:  # the edge: what Gradio makes of a body before it calls anything
                if answering.status or BEGUN.get():
                    raise
                log.exception("A request failed before anything was called.")
                refused = refusal(400)
        await refused(scope, receive, answering.as_it_is())

    async def _upload(self, asked: _Asked, guest: Guest, language: str) -> None:
        scope, receive, answering = asked
        house, headers = self._house, Headers(scope=scope)
        length = int(headers.get("content-length", "0"))
        if not await to_thread.run_sync(house.room.take, length):
            await refusal(507, plain=True)(scope, receive, answering.as_it_is())
            return
        if house.access.public:
            answering.change = partial(_renamed, names=partial(house.files.name, visitor=guest.visitor))
        coming = going_on(receive, length, house.limits.body_seconds)
        try:
            await self._app(scope, coming, answering)
        except (TooLarge, TooSlow) as error:
            if not answering.status:
                number = 413 if isinstance(error, TooLarge) else 408
                await refusal(number, plain=True)(scope, receive, answering.as_it_is())
        finally:
            house.room.give_back(length)

    async def _file(self, asked: _Asked, guest: Guest, language: str) -> None:
        scope, receive, answering = asked
        name = self._place(scope)[1].removeprefix(FILE)
        if "://" in unquote(name) or name.startswith(("http:", "https:", "/http")):
            await refusal(404)(scope, receive, answering.as_it_is())
            return
        if self._house.access.public:
            path = self._house.files.path(name, guest.visitor)
            found = refusal(403, "This file is not yours, or it is gone.") if path is None else _shown(path)
            await found(scope, receive, answering.as_it_is())
            return
        answering.has_files = True
        await self._app(*asked)


_Asked = tuple[Scope, Receive, Answering]
_HANDLERS: dict[str, Callable[[Gate, _Asked, Guest, str], Awaitable[None]]] = {
    "page": Gate._page,
    "stream": Gate._stream,
    "login": Gate._login,
    "tool": Gate._tool,
    "call": Gate._call,
    "upload": Gate._upload,
    "file": Gate._file,
}


def _foreign(house: House, method: str, headers: Headers) -> Response | None:
    """A refusal of what comes under another name, or from another page."""
    host, origin = headers.get("host", ""), headers.get("origin")
    if len(headers.getlist("host")) != 1 or not house.names.knows(host):
        return refusal(421)
    if origin is not None and not house.names.is_own(origin, host):
        return refusal(403, "Requests from other sites are refused.")
    if method not in ("GET", "HEAD") and headers.get("sec-fetch-site", "same-origin") not in _SAME_SITES:
        return refusal(403, "Requests from other sites are refused.")
    return None


_SAME_SITES = ("same-origin", "none")


def _shown(path: Path) -> Response:
    """A file of a visitor's own, which no browser takes for a page."""
    kind = _SHOWN.get(path.suffix.lower())
    response = FileResponse(path, media_type=kind or "application/octet-stream")
    response.headers["content-disposition"] = (
        f"{'inline' if kind else 'attachment'}; filename*=utf-8''{quote(path.name)}"
    )
    response.headers["cache-control"] = "private"
    response.headers["content-security-policy"] = "default-src 'none'; sandbox"
    return response


def _renamed(body: bytes, names: Callable[[Path], str]) -> bytes:
    """The answer to an upload, with names in the place of paths."""
    return json.dumps([names(Path(path)) for path in json.loads(body)]).encode()
