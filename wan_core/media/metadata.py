"""The request inside a finished video or picture: one JSON text where the format keeps its comment.

Opening the file rebuilds its request; see ``wan_core.media.comments`` for where it stands in each format.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from wan_core.media.comments import exif_of, read_comment
from wan_core.schema import GenerationRequest, InvalidRequest, MediaError
from wan_core.schema.request import ImageFormat

REQUEST_KEY = "wan_studio_request"
MEDIA_KEY = "wan_studio_media"
FILES_KEY = "wan_studio_files"
"""Content digests of the model and LoRA files that made it."""

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
    """The JSON object in a file's comment, or that a JSON file is; empty when there is none.

    Raises:
        MediaError: the file cannot be opened.
    """
    try:
        comment = read_comment(path)
    except OSError as error:
        raise MediaError(f"{path.name} cannot be opened ({error.strerror}); check that it exists.") from error
    try:
        values = json.loads(comment.decode())
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def as_text(metadata: dict[str, Any]) -> str:
    """The JSON that stands in a file."""
    return json.dumps(metadata, ensure_ascii=False, sort_keys=True)


def ffmetadata(metadata: dict[str, Any]) -> str:
    """ffmpeg's own metadata text, with ``metadata`` as JSON in ``comment``.

    A text of 100,000 characters fits: unlike a command line argument, a file has no length limit.
    """
    comment = as_text(metadata)
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
        options["exif"] = exif_of(comment)
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
