"""The request inside a finished video: one JSON text in the MP4's standard comment atom.

Opening a video rebuilds its request. Reading walks the file's own atoms, without starting ffmpeg and
without trusting any length in the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO

from wan_core.schema import GenerationRequest, InvalidRequest, MediaError

REQUEST_KEY = "wan_studio_request"

_COMMENT_PATH = (b"moov", b"udta", b"meta", b"ilst", b"\xa9cmt", b"data")
_FULL_ATOMS = {b"meta": 4, b"data": 8}  # bytes between the atom's header and its content
_LARGEST_COMMENT = 4 * 2**20  # bytes; a request is below 1 MiB


def request_metadata(request: GenerationRequest) -> dict[str, Any]:
    """What ``write_video`` stores for a request: nothing but what decides the video."""
    return {REQUEST_KEY: request.model_dump(mode="json")}


def read_request(path: Path) -> GenerationRequest:
    """The request that made a video of this studio.

    Raises:
        MediaError: the file cannot be read, or holds no request of this studio.
    """
    values = read_metadata(path).get(REQUEST_KEY)
    if not isinstance(values, dict):
        raise MediaError(f"{path.name} holds no settings of this studio; it was made without them.")
    known = {name: value for name, value in values.items() if name in GenerationRequest.model_fields}
    try:
        return GenerationRequest.parse(known)
    except InvalidRequest as error:
        raise MediaError(f"The settings in {path.name} cannot be used: {error}") from error


def read_metadata(path: Path) -> dict[str, Any]:
    """The JSON object in an MP4's comment; empty when there is none.

    Raises:
        MediaError: the file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            comment = _find_comment(file)
    except OSError as error:
        raise MediaError(f"{path.name} cannot be opened ({error.strerror}); check that it exists.") from error
    try:
        values = json.loads(comment.decode())
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def ffmetadata(metadata: dict[str, Any]) -> str:
    """ffmpeg's own metadata text, with ``metadata`` as JSON in ``comment``.

    A text of 100,000 characters fits: unlike a command line argument, a file has no length limit.
    """
    comment = json.dumps(metadata, ensure_ascii=False, sort_keys=True)
    escaped = "".join(f"\\{char}" if char in "=;#\\\n" else char for char in comment)
    return f";FFMETADATA1\ncomment={escaped}\n"


def _find_comment(file: BinaryIO) -> bytes:
    """Descend ``_COMMENT_PATH``; b"" when a step is missing or a length makes no sense."""
    start, end = 0, file.seek(0, 2)
    for name in _COMMENT_PATH:
        found = _find_atom(file, name, start, end)
        if found is None:
            return b""
        start, end = found[0] + _FULL_ATOMS.get(name, 0), found[1]
    if not 0 < end - start <= _LARGEST_COMMENT:
        return b""
    file.seek(start)
    return file.read(end - start)


def _find_atom(file: BinaryIO, name: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Content bounds of the first atom called ``name`` among the siblings in [start, end)."""
    while start + 8 <= end:
        file.seek(start)
        size, kind = int.from_bytes(file.read(4)), file.read(4)
        header = 8
        if size == 1:  # a 64-bit length follows
            size, header = int.from_bytes(file.read(8)), 16
        elif size == 0:  # up to the end
            size = end - start
        if size < header or start + size > end:
            return None
        if kind == name:
            return start + header, start + size
        start += size
    return None
