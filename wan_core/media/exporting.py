"""A finished video in another format, without making it anew.

Frames are read from the file, finished and written as if they came from the model; its settings and its sound
go along. Imports no torch.
"""

from __future__ import annotations

import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image, ImageSequence

from wan_core.media.atomic import whole_file
from wan_core.media.audio import sound_of
from wan_core.media.encoders import check_coding
from wan_core.media.finishing import Enlarge
from wan_core.media.metadata import REQUEST_KEY, read_metadata
from wan_core.media.naming import safe_stem, unused
from wan_core.media.picture_process import PILLOW_ERRORS
from wan_core.media.pictures import MAX_PICTURE_PIXELS
from wan_core.media.read import MAX_FRAMES, probe, read_image, stream_clip
from wan_core.media.sniff import WEBP, sniff
from wan_core.media.write import write_clip, write_image
from wan_core.schema import MediaError
from wan_core.schema.output import SUFFIXES, OutputOptions, VideoFormat

ExportFormat = VideoFormat | Literal["last-frame"]
"""The formats of videos, and the last frame as a PNG."""

EXPORT_FORMATS: tuple[str, ...] = (*get_args(VideoFormat), "last-frame")

_CHUNK = 8  # frames
_FRAME = re.compile(r"frame_\d{5,}\.png")
_LARGEST_FRAME = 256 * 2**20  # bytes of a PNG
_ZIP = b"PK\x03\x04"
_USUAL_FPS = 16
_ROUNDING = 0.02


@dataclass(frozen=True)
class _Source:
    """Frames (H, W, 3) of a result, one at a time, and how many a second."""

    frames: Iterator[np.ndarray]
    fps: float
    has_sound: bool = False


def export(
    result: Path,
    format: ExportFormat,
    folder: Path,
    options: OutputOptions | None = None,
    enlarge: Enlarge | None = None,
) -> Path:
    """Write a result as a new file in ``folder``, and return it; see ``export_to``."""
    options = options or OutputOptions()
    last = format == "last-frame"
    stem = safe_stem(result.name if result.is_dir() else result.stem)
    target = unused(folder, f"{stem}-last" if last else stem, ".png" if last else SUFFIXES[format])
    return export_to(result, format, target, options, enlarge)


def export_to(
    result: Path,
    format: ExportFormat,
    target: Path,
    options: OutputOptions,
    enlarge: Enlarge | None = None,
) -> Path:
    """Write a result as ``target``, which is replaced if it exists, in a format.

    Args:
        result: a video, a GIF or WebP that moves, or frames in a ZIP or folder; of a picture only the last
            frame can be had.
        format: what to write; ``options.video_format`` is not looked at.
        target: the new file, or the folder of frames.
        options: codec, quality, loops, in-between frames, enlarging and ping-pong. Where they change
            nothing and the format stays, the file is copied as it is.
        enlarge: a learnt upscaler, as in ``wan_core.media.finishing``.

    Raises:
        MediaError: the result cannot be read, or the disk refuses.
        InvalidRequest: the codec is not for this format, or not on this machine.
    """
    if format == "last-frame":
        write_image(last_frame(result), target, "png", read_metadata(result))
        return target
    options = options.model_copy(update={"video_format": format})
    check_coding(options)
    if _is_same(result, options):
        return _copied(result, target)
    source = _opened(result)
    sound = nullcontext()
    if source.has_sound and format in ("mp4", "webm") and options.keep_audio and not options.ping_pong:
        sound = sound_of(result, 0.0, probe(result).seconds, target.parent)
    with sound as audio:
        metadata = read_metadata(result) if options.embed_metadata else {}
        write_clip(_chunks(source.frames), target, source.fps, options, metadata, audio, enlarge)
    return target


def _is_same(result: Path, options: OutputOptions) -> bool:
    """Whether a copy is what is wanted."""
    plain = OutputOptions(video_format=options.video_format)
    is_format = not result.is_dir() and result.suffix.lower() == SUFFIXES[options.video_format]
    return options == plain and is_format and (result.suffix.lower() != ".webp" or _frame_count(result) > 1)


def _copied(result: Path, target: Path) -> Path:
    try:
        with whole_file(target) as partial:
            shutil.copyfile(result, partial)
    except OSError as error:
        raise MediaError(f"{target.name} could not be written ({error.strerror or error}).") from error
    return target


def last_frame(result: Path) -> np.ndarray:
    """The last frame (H, W, 3) of a result of any format; raises as ``export_to``."""
    if is_picture(result):
        return read_image(result)
    last = None
    for frame in _opened(result).frames:
        last = frame
    if last is None:
        raise MediaError(f"{result.name} has no frames; choose another file.")
    return last


def is_picture(result: Path) -> bool:
    """Whether a result does not move.

    Raises:
        MediaError: it cannot be read.
    """
    if result.is_dir() or _is_zip(result):
        return False
    found = sniff(result)
    return found.kind == "image" and (found is not WEBP or _frame_count(result) == 1)


def _opened(result: Path) -> _Source:
    if result.is_dir():
        return _Source(_folder_frames(result), _told_fps(result))
    if _is_zip(result):
        return _Source(_zip_frames(result), _told_fps(result))
    if is_picture(result):
        raise MediaError(f"{result.name} is a picture; only a video can be exported as one.")
    if sniff(result) is WEBP:
        return _Source(_webp_frames(result), _webp_fps(result))
    stream = stream_clip(result)
    return _Source(stream.frames, _as_meant(stream.fps, result), has_sound=True)


def _as_meant(fps: float, result: Path) -> float:
    """Frames a second as the settings tell them, where the rounded times of WebM and GIF come near."""
    told = _told_fps(result)
    return told if abs(fps - told) < _ROUNDING * told else round(fps, 3)


def _chunks(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    while several := list(islice(frames, _CHUNK)):
        yield np.stack(several)


def _told_fps(result: Path) -> float:
    """What the settings say of the frames a second, else the usual."""
    request: Any = read_metadata(result).get(REQUEST_KEY)
    values = [request.get(name) for name in ("fps", "interpolate_fps")] if isinstance(request, dict) else []
    return max((v for v in values if isinstance(v, int) and 0 < v <= 120), default=_USUAL_FPS)


# -- frames in a ZIP or a folder --------------------------------------------------------------------


def saved_frames(result: Path, fastest: float, most: int) -> tuple[Iterator[np.ndarray], float] | None:
    """Some of the frames in a ZIP or a folder, evenly, and how many a second; None for any other result.

    Args:
        result: what a job has made.
        fastest: frames a second at most.
        most: frames at most.

    Raises:
        MediaError: it cannot be read; also by the iterator.
    """
    is_folder = result.is_dir()
    if not is_folder and not _is_zip(result):
        return None
    count, fps = len(_folder_names(result) if is_folder else _zip_names(result)), _told_fps(result)
    step = max(ceil(fps / fastest), ceil(count / most), 1)
    return (_folder_frames if is_folder else _zip_frames)(result, step), fps / step


def _is_zip(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == _ZIP
    except OSError as error:
        raise MediaError(f"{path.name} cannot be opened ({error.strerror}); check that it exists.") from error


def _folder_names(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _FRAME.fullmatch(path.name))[:MAX_FRAMES]


def _folder_frames(folder: Path, step: int = 1) -> Iterator[np.ndarray]:
    for path in _folder_names(folder)[::step]:
        yield read_image(path)


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:  # RuntimeError: locked
        raise MediaError(f"{path.name} is a damaged ZIP; choose another copy of it.") from error


def _zip_names(path: Path) -> list[str]:
    with _archive(path) as archive:
        return sorted(name for name in archive.namelist() if _FRAME.fullmatch(name))[:MAX_FRAMES]


def _zip_frames(path: Path, step: int = 1) -> Iterator[np.ndarray]:
    names = _zip_names(path)
    with _archive(path) as archive:
        for name in names[::step]:
            if archive.getinfo(name).file_size > _LARGEST_FRAME:
                raise MediaError(f"{name} in {path.name} is too large; choose another file.")
            with archive.open(name) as file, _picture(path, file) as picture:
                yield np.asarray(picture.convert("RGB"))


# -- WebP -------------------------------------------------------------------------------------------


def _frame_count(path: Path) -> int:
    with _picture(path, path) as picture:
        return getattr(picture, "n_frames", 1)


def _webp_frames(path: Path) -> Iterator[np.ndarray]:
    with _picture(path, path) as picture:
        for frame in ImageSequence.Iterator(picture):
            yield np.asarray(frame.convert("RGB"))


def _webp_fps(path: Path) -> float:
    """The inverse of the mean time between frames."""
    with _picture(path, path) as picture:
        milliseconds = []
        for frame in ImageSequence.Iterator(picture):
            frame.load()  # only then it is known
            milliseconds.append(frame.info.get("duration", 0))
    mean = sum(milliseconds) / len(milliseconds)
    return _as_meant(1000 / mean, path) if mean > 0 else _USUAL_FPS


@contextmanager
def _picture(path: Path, file: Any) -> Iterator[Image.Image]:
    """Lend a picture that is not decoded yet; its size is checked before it is.

    Raises:
        MediaError: it is damaged, or too large.
    """
    try:
        with Image.open(file, formats=("PNG", "WEBP")) as picture:
            if picture.width * picture.height > MAX_PICTURE_PIXELS:
                raise MediaError(f"{path.name} is too large; choose another file.")
            yield picture
    except PILLOW_ERRORS as error:
        raise MediaError(f"{path.name} is damaged; choose another copy of it.") from error
