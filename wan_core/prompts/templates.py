"""Prompts that are drawn anew for each seed: ``{a|b}`` is one of several, ``__name__`` a line of a file.

What is drawn depends on the seed and the text alone, and what comes out holds nothing more to draw. So a
result's request, with the words that were drawn, makes the same video again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from wan_core.prompts.wildcards import NAME, read_options
from wan_core.schema import GenerationRequest, InvalidRequest

MAX_DRAWS = 500
MAX_LENGTH = 100_000

_CHOICE = re.compile(rf"\{{([^{{}}|]*\|[^{{}}]*)\}}|__({NAME})__")
_FIELDS = ("prompt", "negative_prompt")


def is_template(text: str) -> bool:
    """Whether there is anything to draw."""
    return _CHOICE.search(text) is not None


def wildcards_in(text: str) -> list[str]:
    """The names of the files that a text draws from, those within ``{a|b}`` included."""
    return list(dict.fromkeys(re.findall(rf"__({NAME})__", text)))


def require_wildcards(request: GenerationRequest, folder: Path) -> None:
    """Refuse a request that draws from files which are not in ``folder``.

    Raises:
        InvalidRequest: naming the file.
    """
    for field in _FIELDS:
        for name in wildcards_in(getattr(request, field) or ""):
            read_options(folder, name, field)


def draw(text: str, seed: int, folder: Path, field: str = "prompt") -> str:
    """The text with one of each ``{a|b}`` and a line of each ``__name__``, which may hold more of these.

    Args:
        text: what was written.
        seed: of the job; the same seed draws the same words.
        folder: holds the wildcard files.
        field: what an error names; fields of one request draw independently.

    Raises:
        InvalidRequest: a file is not there, or the files name each other without end.
    """
    for number in range(MAX_DRAWS):
        found = _CHOICE.search(text)
        if found is None:
            return text
        inside, name = found.groups()
        options = inside.split("|") if name is None else read_options(folder, name, field)
        drawn = _pick(options, f"{field} {seed} {number}").strip()
        text = text[: found.start()] + drawn + text[found.end() :]
        if len(text) > MAX_LENGTH:
            break
    raise InvalidRequest(
        field,
        f"drawing its words does not end ({text[:40]!r}...)",
        "Look for wildcard files that name themselves or each other.",
    )


def draw_request(request: GenerationRequest, folder: Path) -> GenerationRequest:
    """A request whose seed is known, with the words that it draws.

    Raises:
        InvalidRequest: as ``draw``, or the words are refused.
    """
    texts = {field: getattr(request, field) for field in _FIELDS}
    drawn = {field: draw(text, request.seed, folder, field) for field, text in texts.items() if text}
    if all(texts[field] == text for field, text in drawn.items()):
        return request
    return GenerationRequest.parse({**request.model_dump(), **drawn})


def _pick(options: Sequence[str], key: str) -> str:
    """One of some options; the same on every machine and in every version of Python."""
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return options[number % len(options)]
