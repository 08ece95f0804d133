"""Who is asking: a browser that has a cookie of ours, or else an address."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.types import Scope

from ui.serving.access import Access

COOKIE = "wan-studio-visitor"

_WEEKS = 30 * 24 * 3600
_VALUE = re.compile(r"[\w-]{43}")


@dataclass(frozen=True)
class Guest:
    """Who is asking.

    ``visitor`` stands for a browser, and says nothing of its cookie; it is empty where everybody may see
    everything. ``address`` is where the request comes from, ``key`` what its requests are counted under.
    ``cookie`` is to be set, if any.
    """

    visitor: str
    address: str
    key: str
    cookie: str = ""


def guest_of(scope: Scope, headers: Headers, access: Access) -> Guest:
    """Who asks for this. On a Space its proxy says from where; anywhere else that may be made up."""
    address = (scope.get("client") or ("",))[0]
    if access.space and (forwarded := headers.get("x-forwarded-for")):
        address = forwarded.split(",")[0].strip()[:64]
    if not access.public:
        return Guest("", address, address)
    value, known = _cookie(headers), True
    if value is None:
        value, known = secrets.token_urlsafe(32), False
    visitor = hashlib.sha256(f"visitor {value}".encode()).hexdigest()[:32]
    if known:
        return Guest(visitor, address, visitor)
    # who brings no cookie is counted by the address, or each request would be somebody new
    return Guest(visitor, address, address, _set(value, scope, access))


def _cookie(headers: Headers) -> str | None:
    try:
        kept = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return kept.value if kept is not None and _VALUE.fullmatch(kept.value) else None


def _set(value: str, scope: Scope, access: Access) -> str:
    """A Space stands in a frame of another site, where only such a cookie is kept."""
    where = "SameSite=None; Secure; Partitioned" if access.space else "SameSite=Lax"
    if scope.get("scheme") == "https" and not access.space:
        where += "; Secure"
    return f"{COOKIE}={value}; Path=/; Max-Age={_WEEKS}; HttpOnly; {where}"
