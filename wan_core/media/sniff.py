"""What kind of file something is, by its first bytes. Its name says nothing: anybody can choose one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wan_core.schema import MediaError

Kind = Literal["image", "video", "text"]

KNOWN_FORMATS = "MP4, MOV, WebM, MKV, AVI, GIF, PNG, JPEG, WebP, BMP or AVIF"

_HEAD = 4096  # bytes that are looked at
_MP4_ATOMS = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


@dataclass(frozen=True)
class FileFormat:
    """What a file is, the extension it is kept under, and which reader it is for.

    ``reader`` is a demuxer of ffmpeg for a video, a format of Pillow for a picture.
    """

    kind: Kind
    extension: str
    reader: str = ""


MP4 = FileFormat("video", "mp4", "mov")
MATROSKA = FileFormat("video", "mkv", "matroska")
AVI = FileFormat("video", "avi", "avi")
GIF = FileFormat("video", "gif", "gif")
PNG = FileFormat("image", "png", "PNG")
JPEG = FileFormat("image", "jpg", "JPEG")
WEBP = FileFormat("image", "webp", "WEBP")
BMP = FileFormat("image", "bmp", "BMP")
AVIF = FileFormat("image", "avif", "AVIF")
TEXT = FileFormat("text", "txt")

FORMATS = {each.extension: each for each in (MP4, MATROSKA, AVI, GIF, PNG, JPEG, WEBP, BMP, AVIF, TEXT)}
"""Format of each extension that a kept file can have."""

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"BM", BMP),
    (b"\x1a\x45\xdf\xa3", MATROSKA),
)
_RIFF_FORMS = {b"WEBP": WEBP, b"AVI ": AVI}


def sniff(path: Path) -> FileFormat:
    """The format of a file.

    Raises:
        MediaError: it cannot be opened, is empty, or is of no known kind.
    """
    try:
        if not path.is_file():
            raise MediaError(f"{path.name} cannot be opened; check that it exists.")
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise MediaError(f"{path.name} cannot be opened ({error.strerror}); check that it exists.") from error
    if not head:
        raise MediaError(f"{path.name} is empty; choose another file.")
    found = _format(head)
    if found is None:
        raise MediaError(f"{path.name} is no picture or video of a known kind; use {KNOWN_FORMATS}.")
    if found.kind == "image" and head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        raise MediaError(f"{path.name} is a HEIC picture, which cannot be read; save it as JPEG or PNG.")
    return found


def _format(head: bytes) -> FileFormat | None:
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis", *_HEIC_BRANDS):
        return AVIF
    if head[4:8] in _MP4_ATOMS:
        return MP4
    if head[:4] == b"RIFF":
        return _RIFF_FORMS.get(head[8:12])
    for beginning, found in _BEGINNINGS:
        if head.startswith(beginning):
            return found
    return TEXT if _is_text(head) else None


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3  # a character cut in two by the end of what was read
    return True
