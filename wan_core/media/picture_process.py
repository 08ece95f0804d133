"""Decodes pictures in a process of its own: Pillow and the libraries below it see no hostile byte elsewhere.

``wan_core.media.pictures`` asks, in the process that wants a picture.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from typing import Any

from PIL import AvifImagePlugin, Image, ImageOps

from wan_core.confined.serving import serve

PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    EOFError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What Pillow raises for damaged files, by experience."""

MEMORY = 3 * 2**29  # bytes; a picture of 40 megapixels with transparency takes half of it
CPU_SECONDS = 20
AVIF_THREADS = 2  # else one per core of the machine, each with addresses of its own

_ORIENTATION, _LYING = 0x0112, (5, 6, 7, 8)


def answer(question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """What is asked of a picture.

    Args:
        question: ``path``; ``reader``, a format of Pillow; ``most``, the pixels above which nothing but its
            size is read; ``mode``, "RGB", "L" or "A" (how opaque it is), "turned", or None for its size
            alone; ``backdrop``, the colour below what is transparent.

    Returns:
        ``size`` as the file tells it, with whether the camera lay (``turned``), or with the pixels, upright,
        in rows, and ``shown``, their width and height. ``damaged`` where it cannot be read, or no further.
    """
    values: dict[str, Any] = {}
    try:
        with Image.open(question["path"], formats=[question["reader"]]) as picture:
            values["size"] = picture.size
            if question["mode"] is None or picture.width * picture.height > question["most"]:
                return values, b""
            if question["mode"] == "turned":
                values["turned"] = picture.getexif().get(_ORIENTATION, 1) in _LYING  # may read all of it
                return values, b""
            shown = _laid_on(picture, question["backdrop"], question["mode"])
            return values | {"shown": shown.size}, shown.tobytes()
    except PILLOW_ERRORS:
        return values | {"damaged": True}, b""


def _laid_on(opened: Image.Image, colour: str, mode: str) -> Image.Image:
    """A picture in Pillow's ``mode``, turned upright, with ``colour`` where it is transparent."""
    picture = _eight_bits(ImageOps.exif_transpose(opened))
    if mode == "A":
        return picture.convert("RGBA").getchannel("A")
    if picture.has_transparency_data:
        backdrop = Image.new("RGBA", picture.size, colour)
        picture = Image.alpha_composite(backdrop, picture.convert("RGBA"))
    return picture.convert(mode)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """A grey picture of 16 bits, which Pillow would cut off at 255, scaled to 8."""
    if picture.mode.startswith("I;16"):
        import numpy as np  # most pictures need none

        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    return picture


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of damaged metadata and large pictures, which are looked at here
    AvifImagePlugin.DEFAULT_MAX_THREADS = AVIF_THREADS
    serve(answer, MEMORY, CPU_SECONDS)
