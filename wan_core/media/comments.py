"""The comment of a file of any of our formats: where it is, and how it gets there.

MP4 keeps it in the comment atom, WebM in a COMMENT tag, GIF in a comment extension, WebP in the description
of its EXIF, PNG in an iTXt and JPEG in COM segments, a ZIP of frames in its first file. Nothing is decoded to
read it, ffmpeg is not started, no length in a file is trusted, and nothing above ``LARGEST_COMMENT`` is read.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from wan_core.media.picture_process import PILLOW_ERRORS

LARGEST_COMMENT = 48 * 2**20  # bytes; a request is below 1 MiB, the rest is for embedded inputs

SETTINGS_FILE = "settings.json"
"""The comment of frames in a ZIP or a folder."""

_DESCRIPTION = 0x010E  # EXIF
_MOST_BLOCKS = 100_000  # that are passed over in one file

_COMMENT_ATOMS = (b"moov", b"udta", b"meta", b"ilst", b"\xa9cmt", b"data")
_FULL_ATOMS = {b"meta": 4, b"data": 8}  # bytes between the atom's header and its content

_SEGMENT, _TAGS, _TAG, _SIMPLE_TAG, _TAG_NAME, _TAG_STRING, _CLUSTER = (
    0x18538067,
    0x1254C367,
    0x7373,
    0x67C8,
    0x45A3,
    0x4487,
    0x1F43B675,
)

_VP8X, _HAS_EXIF = b"VP8X", 0x08


def read_comment(path: Path) -> bytes:
    """What stands in the comment of a file; b"" when there is none, or the file makes no sense.

    Raises:
        OSError: it cannot be opened.
    """
    if path.is_dir():
        path = path / SETTINGS_FILE
        if not path.is_file():
            return b""
    with path.open("rb") as file:
        head = file.read(16)
        file.seek(0)
        return _reader(head)(file)


def add_comment(path: Path, format: str, comment: bytes) -> None:
    """Put a comment into a finished ``gif`` or ``webp`` that has none.

    Raises:
        OSError: the disk refuses.
    """
    {"gif": _add_to_gif, "webp": _add_to_webp}[format](path, comment)


def exif_of(comment: str) -> Image.Exif:
    """The EXIF that holds a comment."""
    exif = Image.Exif()
    exif[_DESCRIPTION] = comment
    return exif


def _reader(head: bytes) -> Callable[[BinaryIO], bytes]:
    for beginning, reader in _BEGINNINGS:
        if head.startswith(beginning):
            return reader
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _in_webp
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{":
        return _in_text
    return _in_mp4


def _in_text(file: BinaryIO) -> bytes:
    text = file.read(LARGEST_COMMENT + 1)
    return text.removeprefix(b"\xef\xbb\xbf") if len(text) <= LARGEST_COMMENT else b""


# -- PNG and JPEG -----------------------------------------------------------------------------------


def _in_png(file: BinaryIO) -> bytes:
    """The iTXt called comment, as it is, before the picture."""
    file.seek(8)
    for _ in range(_MOST_BLOCKS):
        header = file.read(8)
        size, kind = int.from_bytes(header[:4]), header[4:]
        if len(kind) < 4 or kind == b"IDAT":
            return b""
        if kind == b"iTXt" and size <= LARGEST_COMMENT:
            keyword, _, rest = file.read(size).partition(b"\0")
            if keyword == b"comment" and rest[:1] == b"\0":  # not packed
                return rest[2:].partition(b"\0")[2].partition(b"\0")[2]
            file.seek(4, 1)
        else:
            file.seek(size + 4, 1)
    return b""


def _in_jpeg(file: BinaryIO) -> bytes:
    """All COM segments before the picture, one after the other."""
    comment = bytearray()
    file.seek(2)
    for _ in range(_MOST_BLOCKS):
        marker, size = file.read(2), int.from_bytes(file.read(2))
        if marker[:1] != b"\xff" or marker == b"\xff\xda" or size < 2 or len(comment) > LARGEST_COMMENT:
            break
        if marker == b"\xff\xfe":
            comment += file.read(size - 2)
        else:
            file.seek(size - 2, 1)
    return bytes(comment) if len(comment) <= LARGEST_COMMENT else b""


# -- MP4 --------------------------------------------------------------------------------------------


def _in_mp4(file: BinaryIO) -> bytes:
    """Descend ``_COMMENT_ATOMS``."""
    start, end = 0, file.seek(0, 2)
    for name in _COMMENT_ATOMS:
        found = _find_atom(file, name, start, end)
        if found is None:
            return b""
        start, end = found[0] + _FULL_ATOMS.get(name, 0), found[1]
    if not 0 < end - start <= LARGEST_COMMENT:
        return b""
    file.seek(start)
    return file.read(end - start)


def _find_atom(file: BinaryIO, name: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Content bounds of the first atom called ``name`` among the siblings in [start, end)."""
    for _ in range(_MOST_BLOCKS):
        if start + 8 > end:
            return None
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


# -- WebM -------------------------------------------------------------------------------------------


def _in_webm(file: BinaryIO) -> bytes:
    """The string of the first tag called COMMENT that comes before the pictures."""
    end, steps = file.seek(0, 2), iter(range(_MOST_BLOCKS))
    inner = [(0, end)]
    for level in (_SEGMENT, _TAGS, _TAG, _SIMPLE_TAG):
        inner = [each[1:] for bounds in inner for each in _elements(file, bounds, (level,), steps)]
    for bounds in inner:
        parts = {
            kind: (start, stop)
            for kind, start, stop in _elements(file, bounds, (_TAG_NAME, _TAG_STRING), steps)
            if stop - start <= LARGEST_COMMENT
        }
        if len(parts) == 2 and _content(file, parts[_TAG_NAME])[:8].upper() == b"COMMENT":
            return _content(file, parts[_TAG_STRING])
    return b""


def _content(file: BinaryIO, bounds: tuple[int, int]) -> bytes:
    file.seek(bounds[0])
    return file.read(bounds[1] - bounds[0]).rstrip(b"\0")


def _elements(
    file: BinaryIO, bounds: tuple[int, int], wanted: tuple[int, ...], steps: Iterator[int]
) -> list[tuple[int, int, int]]:
    """(id, first byte, end) of the elements within ``bounds`` that are wanted; pictures end the search.

    Every element takes one of ``steps``; when there are none left, the rest is not looked at.
    """
    start, end = bounds
    found = []
    for _ in steps:
        if start >= end:
            break
        file.seek(start)
        kind, size = _number(file, keep_marker=True), _number(file, keep_marker=False)
        if kind is None or size is None or kind == _CLUSTER:
            break
        content = file.tell()
        stop = end if size < 0 else content + size
        if stop > end:
            break
        if kind in wanted:
            found.append((kind, content, stop))
        start = stop
    return found


def _number(file: BinaryIO, keep_marker: bool) -> int | None:
    """An EBML number: an id with its marker, or a size, where all ones, given as -1, are "unknown"."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    rest = file.read(length - 1)
    if len(rest) < length - 1:
        return None
    value = int.from_bytes(first + rest)
    if keep_marker:
        return value
    value &= (1 << 7 * length) - 1
    return -1 if value == (1 << 7 * length) - 1 else value


# -- GIF --------------------------------------------------------------------------------------------


def _in_gif(file: BinaryIO) -> bytes:
    """The comment extensions before the first picture."""
    comment, room = bytearray(), LARGEST_COMMENT // 255
    _skip_gif_header(file)
    for _ in range(_MOST_BLOCKS):
        if file.read(1) != b"\x21":
            break
        is_comment = file.read(1) == b"\xfe"
        while length := int.from_bytes(file.read(1)):
            data = file.read(length)
            if is_comment:
                comment += data
            if (room := room - 1) < 0:
                return b""
        if comment:
            break
    return bytes(comment)


def _skip_gif_header(file: BinaryIO) -> None:
    flags = file.read(13)[10:11]
    if flags and flags[0] & 0x80:
        file.seek(3 << (flags[0] & 7) + 1, 1)


def _add_to_gif(path: Path, comment: bytes) -> None:
    """Behind the loop count, which programs look for at the beginning."""
    changed = path.with_name(f"{path.name}.gif")
    try:
        with path.open("rb") as file, changed.open("xb") as target:
            _skip_gif_header(file)
            if file.read(2) == b"\x21\xff":
                while length := int.from_bytes(file.read(1)):
                    file.seek(length, 1)
            else:
                file.seek(-2, 1)
            place = file.tell()
            file.seek(0)
            target.write(file.read(place))
            target.write(b"\x21\xfe")
            for start in range(0, len(comment), 255):
                part = comment[start : start + 255]
                target.write(bytes([len(part)]) + part)
            target.write(b"\0")
            shutil.copyfileobj(file, target, 2**20)
        changed.replace(path)
    finally:
        changed.unlink(missing_ok=True)


# -- WebP -------------------------------------------------------------------------------------------


def _in_webp(file: BinaryIO) -> bytes:
    found = _find_chunk(file, b"EXIF")
    if found is None or found[1] > LARGEST_COMMENT:
        return b""
    file.seek(found[0])
    exif = Image.Exif()
    try:
        exif.load(file.read(found[1]))
        return str(exif.get(_DESCRIPTION, "")).encode()
    except PILLOW_ERRORS:
        return b""


def _find_chunk(file: BinaryIO, name: bytes) -> tuple[int, int] | None:
    """First byte and length of the first chunk called ``name``."""
    end, start = file.seek(0, 2), 12
    for _ in range(_MOST_BLOCKS):
        if start + 8 > end:
            return None
        file.seek(start)
        kind, size = struct.unpack("<4sI", file.read(8))
        if start + 8 + size > end:
            return None
        if kind == name:
            return start + 8, size
        start += 8 + size + size % 2
    return None


def _add_to_webp(path: Path, comment: bytes) -> None:
    """At the end, announced in the header; a plain WebP gets the header that can announce it."""
    exif = exif_of(comment.decode()).tobytes().removeprefix(b"Exif\0\0")
    with Image.open(path) as picture:
        width, height = picture.size
    with path.open("r+b") as file:
        header = _find_chunk(file, _VP8X)
        if header is None:
            file.seek(12)
            rest = file.read()
            flags = _HAS_EXIF.to_bytes(4, "little")
            sides = b"".join((side - 1).to_bytes(3, "little") for side in (width, height))
            file.seek(12)
            file.write(_VP8X + struct.pack("<I", 10) + flags + sides + rest)
        else:
            file.seek(header[0])
            flags = file.read(1)[0]
            file.seek(header[0])
            file.write(bytes([flags | _HAS_EXIF]))
        end = file.seek(0, 2)
        file.write(
            b"\0" * (end % 2) + b"EXIF" + struct.pack("<I", len(exif)) + exif + b"\0" * (len(exif) % 2)
        )
        size = file.tell() - 8
        file.seek(4)
        file.write(struct.pack("<I", size))


# -- ZIP --------------------------------------------------------------------------------------------


def _in_zip(file: BinaryIO) -> bytes:
    """The first file, if it is ours and stored as it is; the directory at the end is not read."""
    header = file.read(30)
    if len(header) < 30:
        return b""
    _, _, flags, method, _, _, _, packed, size, name_length, extra = struct.unpack("<4s5H3I2H", header)
    name = file.read(name_length)
    if name != SETTINGS_FILE.encode() or method or flags & 8 or packed != size or size > LARGEST_COMMENT:
        return b""
    file.seek(extra, 1)
    return file.read(size)


_BEGINNINGS: tuple[tuple[bytes, Callable[[BinaryIO], bytes]], ...] = (
    (b"\x89PNG", _in_png),
    (b"\xff\xd8\xff", _in_jpeg),
    (b"\x1a\x45\xdf\xa3", _in_webm),
    (b"GIF8", _in_gif),
    (b"PK\x03\x04", _in_zip),
)
