"""Which language's page a browser gets, and where the pages of the other languages are.

A Gradio page is fixed once it is built, with everything that its handlers say. So each language has a page of
its own over the same jobs: English at the root, the others below a folder of their name (``/zh/``). The root
sends a browser on to the language that it prefers, or to the one that was chosen on the page, which a cookie
keeps.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

import gradio as gr
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "wan-studio-language"
CHOICE = "lang"
"""The part of an address by which a person chooses: ``/?lang=zh``."""

_ROOT = "en"
_YEAR = 365 * 24 * 3600


def preferred(accepted: str, offered: list[str]) -> str:
    """The first of the languages offered that an ``Accept-Language`` header names, heaviest first."""
    weighted = []
    for place, part in enumerate(accepted.split(",")):
        name, _, weight = part.partition(";q=")
        try:
            weighted.append((-float(weight or 1), place, name.strip().lower()))
        except ValueError:
            continue
    names = [name.split("-")[0] for _, _, name in sorted(weighted)]
    return next((name for name in names if name in offered), _ROOT)


class ByLanguage:
    """ASGI middleware: the pages of other languages below their folders, and the way to each from the root.

    Args:
        app: the page at the root.
        pages: what serves the others, each below ``/<language>``.
        languages: those others.
    """

    def __init__(self, app: ASGIApp, pages: ASGIApp, languages: list[str]) -> None:
        self._app, self._pages = app, pages
        self._languages = languages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        folder = scope["path"].split("/")[1]
        there = folder if folder in self._languages else _ROOT
        redirect = self._redirect(scope, there)
        if redirect is not None:
            await redirect(scope, receive, send)
            return
        await (self._pages if there != _ROOT else self._app)(scope, receive, send)

    def _redirect(self, scope: Scope, there: str) -> RedirectResponse | None:
        """Where to send a browser that asks for a page in a language that it does not want."""
        if scope["method"] != "GET" or scope["path"] not in ("/", f"/{there}", f"/{there}/"):
            return None
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        chosen = query.pop(CHOICE, None)
        if chosen not in (*self._languages, _ROOT):
            chosen = None
        wanted = chosen or (self._remembered(Headers(scope=scope)) if there == _ROOT else there)
        if wanted == there and not chosen and scope["path"] != f"/{there}":
            return None
        target = "/" if wanted == _ROOT else f"/{wanted}/"
        response = RedirectResponse(target + (f"?{urlencode(query)}" if query else ""), 303)
        if chosen:
            response.set_cookie(COOKIE, chosen, max_age=_YEAR, samesite="lax", httponly=True)
        return response

    def _remembered(self, headers: Headers) -> str:
        kept = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        if kept is not None and kept.value in (*self._languages, _ROOT):
            return kept.value
        return preferred(headers.get("accept-language", ""), [*self._languages, _ROOT])


def below(
    pages: Mapping[str, gr.Blocks], shown: Callable[[str], dict[str, Any]]
) -> tuple[Middleware, Callable[[Any], AbstractAsyncContextManager[None]]]:
    """What serves other languages' pages beside the one at the root: its middleware and its lifespan.

    ``shown`` gives the arguments of ``mount_gradio_app`` for a language. Whoever has logged in at the root is
    logged in everywhere.
    """
    folders = FastAPI(openapi_url=None)
    for language, blocks in pages.items():
        gr.mount_gradio_app(folders, blocks, f"/{language}", **shown(language))

    @asynccontextmanager
    async def lifespan(root: Any) -> AsyncIterator[None]:
        for blocks in pages.values():
            blocks.app.tokens, blocks.app.cookie_id = root.tokens, root.cookie_id
        async with folders.router.lifespan_context(folders):
            yield

    return Middleware(ByLanguage, pages=folders, languages=list(pages)), lifespan
