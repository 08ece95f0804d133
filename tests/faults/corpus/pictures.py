"""Pictures: bombs, cut ones, lying ones, and kinds that nobody asked for."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from tests.faults.corpus.case import CANARY, Case, Shelf

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF")
_FOREIGN = {
    "svg": f'<svg xmlns="http://www.w3.org/2000/svg"><script>{CANARY}</script></svg>'.encode(),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n(MARKER) (w) file closefile\n",
    "pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\n",
    "magick": b"push graphic-context\nfill 'url(https://127.0.0.1/\"|touch MARKER)'\npop graphic-context\n",
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "psd": b"8BPS\0\1" + bytes(20),
    "ico": b"\0\0\1\0\1\0\x40\x40\0\0\1\0\x20\0" + bytes(8),
    "fits": b"SIMPLE  =                    T" + bytes(100),
    "xbm": b"#define a_width 64\n#define a_height 64\nstatic char a_bits[] = {0};\n",
    "ppm": b"P6 99999 99999 255\n" + bytes(64),
}


def picture_cases(folder: Path) -> list[Case]:
    shelf = Shelf(folder, "media")
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    for format in _FORMATS:
        whole = _saved(pixels, format)
        for percent in (3, 30, 60, 97):
            shelf.add(
                f"{format} cut to {percent}", "a", whole[: len(whole) * percent // 100], refused=percent < 60
            )
        shelf.add(f"{format} under another name", "a.mp4", whole, refused=False)
        shelf.add(f"{format} with a page", "a.html", whole + b"<script>alert(1)</script>", refused=False)
        flipped = bytearray(whole)
        flipped[len(whole) // 2 :: 7] = bytes(len(flipped[len(whole) // 2 :: 7]))
        shelf.add(f"{format} with holes", "a", bytes(flipped), refused=False)
    for name, content in _FOREIGN.items():
        shelf.add(name, f"a.{name}", content)
        shelf.add(f"{name} as png", "a.png", content)
    _bombs(shelf)
    _lies(shelf, _saved(pixels, "PNG"), _saved(pixels, "JPEG"))
    return shelf.cases


def _saved(pixels: np.ndarray, format: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, rows: bytes, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG that claims a size and holds these packed rows."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _zeros(count: int) -> bytes:
    """So many bytes of zero, packed."""
    packer = zlib.compressobj(9)
    block = bytes(2**20)
    parts = [packer.compress(block) for _ in range(count >> 20)]
    return b"".join([*parts, packer.compress(bytes(count & (2**20 - 1))), packer.flush()])


def _bombs(shelf: Shelf) -> None:
    shelf.add("a png of 13000 by 13000", "a.png", png(13000, 13000, _zeros(13001 * 13000)))
    shelf.add("a png of 65535 by 65535", "a.png", png(65535, 65535, _zeros(2**20)))
    shelf.add("a png of 2 gigapixels in a row", "a.png", png(2**31 - 1, 1, _zeros(2**20)))
    shelf.add("a png of 40 megapixels", "a.png", png(8000, 5000, _zeros(8001 * 5000)), refused=False)
    shelf.add("a png with more than its size", "a.png", png(64, 64, _zeros(2**28)), refused=False)
    text = chunk(b"zTXt", b"a\0\0" + _zeros(2**28))
    whole = png(64, 64, _zeros(65 * 64))
    shelf.add("a text of 256 mebibytes", "a.png", whole[:33] + text + whole[33:], refused=False)
    profile = chunk(b"iCCP", b"a\0\0" + _zeros(2**28))
    shelf.add("a profile of 256 mebibytes", "a.png", whole[:33] + profile + whole[33:], refused=False)
    bmp = (
        b"BM"
        + struct.pack("<IHHI", 100, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 60000, 60000, 1, 24, *([0] * 6))
    )
    shelf.add("a bmp of 3.6 gigapixels", "a.bmp", bmp)
    webp = (
        b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0"
        + b"\xff\xff\xff" * 2
        + b"VP8L\x10\0\0\0\x2f"
        + b"\xff" * 15
    )
    shelf.add("a webp of 16 million by 16 million", "a.webp", webp)
    shelf.add("a row of one pixel", "a.png", png(1, 1, _zeros(2)))
    shelf.add("a picture of 400 by 17", "a.png", png(400, 17, _zeros(401 * 17)))


def _lies(shelf: Shelf, whole: bytes, jpeg: bytes) -> None:
    shelf.add("no size", "a.png", whole.replace(whole[16:24], bytes(8), 1))
    shelf.add("a wrong sum", "a.png", whole[:29] + b"abcd" + whole[33:], refused=False)
    shelf.add("chunks without end", "a.png", whole[:33] + chunk(b"aaAa", b"") * 300_000, refused=True)
    shelf.add("a chunk of 4 gigabytes", "a.png", whole[:33] + b"\xff\xff\xff\xffIDAT" + whole[41:])
    shelf.add("a depth of 3", "a.png", png(64, 64, _zeros(65 * 64), depth=3))
    shelf.add(
        "an animation of a billion frames",
        "a.png",
        whole[:33] + chunk(b"acTL", struct.pack(">II", 2**30, 0)) + whole[33:],
        refused=False,
    )
    shelf.add("sixteen bits", "a.png", png(64, 64, _zeros(129 * 64), depth=16), refused=False)
    shelf.add("segments without end", "a.jpg", b"\xff\xd8" + b"\xff\xe0\0\2" * 300_000)
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\1\0\0\0\6\0\0\0" * 100 + bytes(200)
    app1 = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    shelf.add("a camera turned a hundred times", "a.jpg", jpeg[:2] + app1 + jpeg[2:], refused=False)
    loop = b"Exif\0\0II*\0\x08\0\0\0\1\0\x69\x87\x04\0\1\0\0\0\x08\0\0\0\x08\0\0\0"
    app1 = b"\xff\xe1" + struct.pack(">H", len(loop) + 2) + loop
    shelf.add("directories in a circle", "a.jpg", jpeg[:2] + app1 + jpeg[2:], refused=False)
    place = jpeg.index(b"\xff\xc0") + 5
    shelf.add(
        "a jpeg of 65500 by 65500",
        "a.jpg",
        jpeg[:place] + struct.pack(">HH", 65500, 65500) + jpeg[place + 4 :],
    )
