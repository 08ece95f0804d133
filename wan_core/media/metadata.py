"""The request inside a finished video or picture: one JSON text where the format keeps its comment.

That is the comment atom of an MP4, the comment of a PNG (iTXt) or JPEG (COM), and the description in a
WebP's EXIF. Opening the file rebuilds its request. Nothing is decoded for it, ffmpeg is not started, and
no length in the file is trusted.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from wan_core.media.read import PILLOW_ERRORS
from wan_core.schema import GenerationRequest, InvalidRequest, MediaError
from wan_core.schema.request import ImageFormat

REQUEST_KEY = "wan_studio_request"

_COMMENT_PATH = (b"moov", b"udta", b"meta", b"ilst", b"\xa9cmt", b"data")
_FULL_ATOMS = {b"meta": 4, b"data": 8}  # bytes between the atom's header and its content
_LARGEST_COMMENT = 4 * 2**20  # bytes; a request is below 1 MiB

_DESCRIPTION = 0x010E  # EXIF
_JPEG_SEGMENT = 65_533  # bytes
_PICTURE_OPTIONS = {
    "png": {},
    "jpeg": {"quality": 95, "subsampling": 0},
    "webp": {"quality": 95, "method": 4},
}


def request_metadata(request: GenerationRequest) -> dict[str, Any]:
    """What is stored in a file for its request: nothing but what decides the video."""
    return {REQUEST_KEY: request.model_dump(mode="json")}


def read_request(path: Path) -> GenerationRequest:
    """The request that made a video or picture of this studio.

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
    """The JSON object in a file's comment; empty when there is none.

    Raises:
        MediaError: the file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            comment = _picture_comment(path) if _is_picture(file.read(16)) else _find_comment(file)
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


def encode_picture(picture: Image.Image, format: ImageFormat, metadata: dict[str, Any]) -> bytes:
    """A picture's file, with ``metadata`` as JSON in its comment; an empty one leaves that out."""
    options: dict[str, Any] = dict(_PICTURE_OPTIONS[format])
    comment = json.dumps(metadata, sort_keys=True)  # ASCII: what lies beyond is escaped
    if metadata and format == "png":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("comment", comment)
    elif metadata and format == "webp":
        options["exif"] = Image.Exif()
        options["exif"][_DESCRIPTION] = comment
    buffer = io.BytesIO()
    picture.save(buffer, format=format.upper(), **options)
    data = buffer.getvalue()
    return _with_jpeg_comment(data, comment.encode()) if metadata and format == "jpeg" else data


def _with_jpeg_comment(data: bytes, comment: bytes) -> bytes:
    """Put COM segments behind the first segment, which has to be the one of JFIF: a segment is short."""
    segments = b""
    for start in range(0, len(comment), _JPEG_SEGMENT):
        part = comment[start : start + _JPEG_SEGMENT]
        segments += b"\xff\xfe" + (len(part) + 2).to_bytes(2) + part
    place = 4 + int.from_bytes(data[4:6])
    return data[:place] + segments + data[place:]


def _is_picture(head: bytes) -> bool:
    return head.startswith((b"\x89PNG", b"\xff\xd8\xff")) or head[8:12] == b"WEBP"


def _picture_comment(path: Path) -> bytes:
    """b"" when there is none, or the picture is damaged."""
    try:
        with Image.open(path, formats=("PNG", "JPEG", "WEBP")) as picture:
            if picture.format == "PNG":
                return str(picture.info.get("comment", "")).encode()
            if picture.format == "WEBP":
                return str(picture.getexif().get(_DESCRIPTION, "")).encode()
            return b"".join(data for name, data in getattr(picture, "applist", []) if name == "COM")
    except PILLOW_ERRORS:
        return b""


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
