"""What leaves the gate: headers that browsers heed, refusals in a sentence, errors without a path."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Message, Send

log = logging.getLogger(__name__)

STATUS: ContextVar[list[int]] = ContextVar("status")
"""What a handler that refuses a call wants its answer to be marked with, as its last item."""

BEGUN: ContextVar[list[bool]] = ContextVar("begun")
"""Of a call of a listener: empty until that begins, as what fails before is the sender's fault."""

_MOST_KEPT = 2**20

_WORDS = {
    400: "The request is not as it has to be.",
    401: "Log in first.",
    403: "This is refused.",
    404: "There is nothing here.",
    405: "This is refused.",
    408: "The request took too long to arrive; send it again.",
    411: "Say how long the request is.",
    413: "The request is too large.",
    421: "This page is not served under this name; start the studio with --name to allow it.",
    422: "The request is not as it has to be.",
    429: "Too many requests in a minute; wait a little.",
    507: "There is no room for more uploads just now; try again in an hour.",
}


def headers_for(space: bool) -> dict[str, str]:
    """The headers of every answer.

    Gradio's page runs inline scripts and makes functions of text, so those stay allowed; nothing is
    loaded from, or sent to, any other host.
    """
    others = " https://huggingface.co https://*.hf.space" if space else ""
    frames = " https://cdnjs.cloudflare.com" if space else ""
    policy = {
        "default-src": "'self'",
        "script-src": f"'self' 'unsafe-inline' 'unsafe-eval' blob:{frames}",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": "'self' data: blob:",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": f"'self'{others}",
    }
    return {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin-allow-popups",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
    }


def refusal(status: int, words: str = "", plain: bool = False) -> Response:
    """An answer that says no in a sentence, with an id that the log has, too; ``plain`` is no JSON."""
    number = secrets.token_hex(4)
    words = words or _WORDS[status]
    log.info("Refused a request with %d (%s): %s", status, number, words)
    headers = {"retry-after": "60"} if status in (429, 507) else {}
    if plain:
        return PlainTextResponse(f"{words} ({number})", status, headers)
    return JSONResponse({"error": words, "id": number}, status, headers)


Change = Callable[[bytes], bytes]


class Answering:
    """What an answer goes through on its way out: the headers, a cookie, and other words for errors.

    Args:
        send: where it goes.
        headers: of every answer; those that an answer has of its own stay.
        cookie: to be set, if any.
        change: what is made of the body of an answer that is no error; None leaves it as it is.
        has_files: errors speak of files, so they are not passed on at all.
    """

    def __init__(
        self,
        send: Send,
        headers: dict[str, str],
        cookie: str = "",
        change: Change | None = None,
        has_files: bool = False,
    ):
        self._send, self._headers = send, headers
        self._cookie, self.change, self.has_files = cookie, change, has_files
        self._is_ours = False
        self._start: Message | None = None
        self._kept: list[bytes] = []
        self.status = 0

    def as_it_is(self) -> Answering:
        """The same for an answer of our own, whose words stay."""
        self._is_ours = True
        return self

    async def __call__(self, message: Message) -> None:
        """Take a message of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers.setdefault(name, value)
            if self._cookie:
                headers.append("set-cookie", self._cookie)
            if not self._is_ours and (self.status >= 400 or self.change is not None):
                self._start = message
                return
        if self._start is None:
            await self._send(message)
            return
        self._kept.append(message.get("body", b""))
        if not message.get("more_body", False):
            await self._end()

    async def _end(self) -> None:
        start, body = self._start, b"".join(self._kept)[:_MOST_KEPT]
        headers = MutableHeaders(scope=start)
        if self.status >= 400:
            self.status, body = reworded(self.status, body, self.has_files)
            headers["content-type"] = "application/json"
            del headers["content-encoding"]
        elif self.change is not None and "content-encoding" not in headers:
            body = self.change(body)
        headers["content-length"] = str(len(body))
        self._start = None
        await self._send({**start, "status": self.status})
        await self._send({"type": "http.response.body", "body": body})


Ended = Callable[[], Awaitable[None]]


def reworded(status: int, body: bytes, has_files: bool = False) -> tuple[int, bytes]:
    """Another status and body for an error of Gradio's, with an id under which the log has it.

    What one of our own handlers refuses in a sentence is no fault of the server. Gradio's words stay where
    they name nothing of this machine.
    """
    number, found = secrets.token_hex(4), _object(body)
    words, own = found.get("error"), {}
    if isinstance(words, str) and words:
        own = found
        status = STATUS.get([400])[-1] if status == 500 else status
    elif status == 422:
        words = _fields(found.get("detail"))
    elif status == 500 and not BEGUN.get([True]):
        status, words = (
            400,
            "data: a value is not what is asked for there; see docs/api.md.",
        )
    elif status >= 500:
        words = f"Something went wrong here; the studio's log says what, under {number}."
    else:
        detail = found.get("detail")
        words = detail if isinstance(detail, str) and not has_files and _is_harmless(detail) else ""
    words = words or _WORDS.get(status, "This is refused.")
    log.log(logging.ERROR if status >= 500 else logging.INFO, "Answered %d (%s): %s", status, number, words)
    told: dict[str, Any] = {**own, "error": words, "id": number}
    if "detail" in found:
        told["detail"] = words
    return status, json.dumps(told).encode()


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _fields(problems: Any) -> str:
    """Which fields of a body are refused, and why."""
    said = []
    for problem in problems if isinstance(problems, list) else []:
        place = [str(part) for part in problem.get("loc", ()) if part != "body"]
        said.append(f"{'.'.join(place) or 'body'}: {problem.get('msg', 'it is refused')}.")
    words = " ".join(said)
    return words if _is_harmless(words) else ""


def _is_harmless(words: str) -> bool:
    return len(words) < 300 and "/" not in words and "\\" not in words and "Traceback" not in words
