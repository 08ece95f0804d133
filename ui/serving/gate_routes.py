"""Which addresses there are. Gradio brings more than this page uses; what is not listed here is not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ui.serving.access import Mode
from ui.serving.endpoint_schema import ANSWERS

API = "/gradio_api/"
UPLOAD = API + "upload"
FILE = API + "file="
PREDICT = API + "run/predict"
JOIN = API + "queue/join"
LOGIN = "/login"
ENDPOINTS = {API + way + name: 2 if name == "generate" else 1 for way in ("run/", "api/") for name in ANSWERS}
"""Where programs call at once, and how many values each takes; these keep nothing between calls."""

Kind = Literal["page", "call", "tool", "upload", "file", "login", "stream"]


@dataclass(frozen=True)
class Route:
    """An address, or all that begin with it; ``modes`` in which it is there."""

    path: str
    method: Literal["GET", "POST", "DELETE"]
    kind: Kind = "page"
    prefix: bool = False
    modes: tuple[Mode, ...] = ("local", "auth", "public")


_OWN: tuple[Mode, ...] = ("local", "auth")
"""Where programs may ask, too, not only the page: it uses none of these itself."""

ROUTES: tuple[Route, ...] = (
    Route("/", "GET"),
    Route("/health", "GET"),
    Route("/metrics", "GET", modes=_OWN),
    Route("/config", "GET"),
    Route("/theme.css", "GET"),
    Route("/favicon.ico", "GET"),
    Route("/robots.txt", "GET"),
    Route("/manifest.json", "GET"),
    Route("/pwa_icon", "GET"),
    Route("/assets/", "GET", prefix=True),
    Route("/static/", "GET", prefix=True),
    Route("/svelte/", "GET", prefix=True),
    Route(LOGIN, "POST", "login", modes=("auth",)),
    Route("/logout", "GET", modes=("auth",)),
    Route(API + "startup-events", "GET"),
    Route(API + "theme.css", "GET"),
    Route(API + "heartbeat/", "GET", "stream", prefix=True),
    Route(API + "upload_progress", "GET", "stream"),
    Route(FILE, "GET", "file", prefix=True),
    Route(UPLOAD, "POST", "upload"),
    Route(PREDICT, "POST", "call"),
    Route(API + "run/", "POST", "call", prefix=True, modes=_OWN),
    Route(API + "login_check", "GET", modes=_OWN),
    Route(API + "user", "GET", modes=_OWN),
    Route(API + "app_id", "GET", modes=_OWN),
    Route(API + "info", "GET", modes=_OWN),
    Route(API + "openapi.json", "GET", modes=_OWN),
    Route(API + "api/", "POST", "call", prefix=True, modes=_OWN),
    Route(API + "call/", "POST", "call", prefix=True, modes=_OWN),
    Route(API + "call/", "GET", "stream", prefix=True, modes=_OWN),
    Route(JOIN, "POST", "call", modes=_OWN),
    Route(API + "queue/data", "GET", "stream", modes=_OWN),
    Route(API + "cancel", "POST", "call", modes=_OWN),
    Route(API + "reset", "POST", "call", modes=_OWN),
    Route(API + "mcp", "GET", "stream", prefix=True, modes=("local",)),
    Route(API + "mcp", "POST", "tool", prefix=True, modes=("local",)),
    Route(API + "mcp", "DELETE", "tool", prefix=True, modes=("local",)),
)


def find_route(method: str, path: str, mode: Mode) -> Route | None:
    """What is at an address, which has no language before it; None if nothing is in this mode."""
    method = "GET" if method == "HEAD" else method
    for route in ROUTES:
        fits = (
            path.startswith(route.path) if route.prefix else path.removesuffix("/") == route.path.rstrip("/")
        )
        if fits and method == route.method and mode in route.modes:
            return route
    return None
