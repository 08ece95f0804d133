"""A language model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlsplit

from wan_core.prompts.enhancer_settings import EnhancerSettings
from wan_core.prompts.instructions import MAX_TOKENS
from wan_core.schema import EnhancementFailed

_PATH = "/chat/completions"
_MAX_BYTES = 2**20
_CONNECT_SECONDS = 8.0
_STATUSES = {
    400: "refuses the request; does it have the model named in Settings?",
    401: "refuses the key; enter it again in Settings.",
    403: "refuses the key; enter it again in Settings.",
    404: "has no such address or model; check both in Settings.",
    429: "has too much to do, or your allowance there is used up; try again later.",
}


def ask_endpoint(settings: EnhancerSettings, messages: list[dict[str, str]]) -> str:
    """What the endpoint answers. The key goes to the address in the settings alone: nothing is followed.

    Raises:
        EnhancementFailed: one sentence; it holds nothing of the key or of the answer.
    """
    import httpx

    place = _place(settings.url)
    if not settings.url or not settings.endpoint_model:
        raise EnhancementFailed("Name the endpoint and its model in Settings.")
    key = settings.key.get_secret_value()
    headers = {"authorization": f"Bearer {key}"} if key else {}
    asked = {
        "model": settings.endpoint_model,
        "messages": messages,
        "max_tokens": MAX_TOKENS,
        "temperature": 0.7,
        "stream": False,
    }
    until = time.monotonic() + settings.seconds
    timeout = httpx.Timeout(settings.seconds, connect=min(_CONNECT_SECONDS, settings.seconds))
    try:
        with httpx.stream(
            "POST", _address(settings.url), json=asked, headers=headers, timeout=timeout
        ) as response:
            _require_success(response.status_code, place)
            return _content(_body(response.iter_bytes(), until, place), place)
    except httpx.TimeoutException as error:
        raise _late(place) from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise EnhancementFailed(
            f"{place} cannot be reached; is it running, and is its address right in Settings?"
        ) from error


def _address(url: str) -> str:
    return url if url.endswith(_PATH) else url + _PATH


def _place(url: str) -> str:
    return urlsplit(url).netloc or "The endpoint"


def _late(place: str) -> EnhancementFailed:
    return EnhancementFailed(f"{place} did not answer in time; try again, or allow more seconds in Settings.")


def _require_success(status: int, place: str) -> None:
    if 300 <= status < 400:
        raise EnhancementFailed(f"{place} sends elsewhere; enter the final address in Settings.")
    if status != 200:
        raise EnhancementFailed(
            f"{place} {_STATUSES.get(status, f'answered with error {status}; try again later.')}"
        )


def _body(chunks: Any, until: float, place: str) -> bytes:
    """All bytes of an answer, however slowly they drip."""
    body = b""
    for chunk in chunks:
        body += chunk
        if len(body) > _MAX_BYTES:
            raise EnhancementFailed(f"{place} answers with more than a prompt; is it a language model?")
        if time.monotonic() > until:
            raise _late(place)
    return body


def _content(body: bytes, place: str) -> str:
    try:
        content = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise EnhancementFailed(f"{place} answers in another form than OpenAI; check its address.") from error
    return content if isinstance(content, str) else ""
