"""Videos, pictures, posters and previews on disk: whole or not at all, see ``wan_core.media.atomic``.

Shape legend: T frames, H W pixels; frames are uint8 RGB arrays (T, H, W, 3).
"""

from __future__ import annotations

import io
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wan_core.media.atomic import partial_file, whole_file, whole_folder
from wan_core.media.encoding import Clip, encode
from wan_core.media.finishing import Enlarge, finished, finished_fps
from wan_core.media.metadata import as_text, encode_picture
from wan_core.media.read import read_first_frame
from wan_core.schema import MediaError
from wan_core.schema.output import OutputOptions
from wan_core.schema.request import ImageFormat

POSTER_SUFFIX = ".poster.webp"
"""What follows the stem of a file in the name of its poster; never the name of a picture itself."""

Frames = np.ndarray

_PREVIEW_QUALITY = 75
_POSTER_QUALITY = 85


def require_writable(folder: Path) -> None:
    """Create ``folder`` and prove that a file can be made in it.

    Raises:
        MediaError: it cannot; better before the first step than after the last.
    """
    try:
        with partial_file(folder) as probe:
            probe.touch(exist_ok=False)
    except OSError as error:
        raise MediaError(
            f"The folder {folder} cannot be written to ({error.strerror}); choose another or free some space."
        ) from error


def write_video(frames: Iterable[Frames], path: Path, fps: int, crf: int, metadata: dict[str, Any]) -> None:
    """Encode chunks of frames, as they come, to an H.264 MP4 (yuv420p, faststart); see ``write_clip``."""
    write_clip(frames, path, fps, OutputOptions(crf=crf), metadata)


def write_clip(
    frames: Iterable[Frames],
    path: Path,
    fps: float,
    options: OutputOptions,
    metadata: dict[str, Any],
    audio: Path | None = None,
    enlarge: Enlarge | None = None,
) -> None:
    """Finish and encode chunks of frames, as they come, in the format and coding of ``options``.

    Only one chunk is held at a time. ``metadata`` goes into the file's comment as JSON; an empty one
    leaves it out. ``audio`` is a WAV file, ``enlarge`` as in ``finished``. An existing file is replaced. An
    exception of ``frames`` passes through and leaves nothing behind.

    Raises:
        MediaError: ffmpeg or the disk refuses, or there are no frames.
    """
    chunks = finished(frames, fps, options, path.parent, enlarge)
    try:
        first = next(chunks, None)
        if first is None or not len(first):
            raise MediaError(f"{path.name} has no frames; nothing was written.")
        height, width = first.shape[1:3]
        clip = Clip(
            name=path.name,
            frames=chain([first], chunks),
            width=width,
            height=height,
            fps=finished_fps(fps, options),
            options=options,
            metadata=metadata,
            audio=audio,
        )
        with _whole(path, options.video_format) as partial:
            encode(clip, partial)
            if not _has_content(partial):
                raise MediaError(f"{path.name} came out empty; the disk may be full.")
    finally:
        if isinstance(chunks, Generator):
            chunks.close()


def write_poster(frame: np.ndarray, path: Path) -> None:
    """One frame (H, W, 3) as a still WebP.

    Raises:
        MediaError: the disk refuses.
    """
    with _whole_file(path) as partial:
        Image.fromarray(frame).save(partial, format="WEBP", quality=_POSTER_QUALITY)


def write_image(frame: np.ndarray, path: Path, format: ImageFormat, metadata: dict[str, Any]) -> None:
    """One frame (H, W, 3) as a picture; ``metadata`` as in ``write_video``. PNG keeps every pixel.

    Raises:
        MediaError: the disk refuses.
    """
    data = encode_picture(Image.fromarray(frame), format, metadata)
    with _whole_file(path) as partial:
        partial.write_bytes(data)


def write_sidecar(path: Path, metadata: dict[str, Any]) -> None:
    """``metadata`` as a JSON file of its own.

    Raises:
        MediaError: the disk refuses.
    """
    with _whole_file(path) as partial:
        partial.write_text(as_text(metadata), encoding="utf-8")


def write_thumbnail(media: Path, path: Path, side: int = 320) -> None:
    """A picture, or a video's first frame, as a WebP of at most ``side`` pixels a side.

    Raises:
        MediaError: ``media`` cannot be read, or the disk refuses.
    """
    picture = Image.fromarray(read_first_frame(media))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    write_poster(np.asarray(picture), path)


def animated_webp(frames: Sequence[np.ndarray] | Frames, milliseconds: int) -> bytes:
    """Frames (T, H, W, 3) as a small WebP that loops for ever, each shown for ``milliseconds``."""
    pictures = [Image.fromarray(frame) for frame in frames]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        format="WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=milliseconds,
        loop=0,
        quality=_PREVIEW_QUALITY,
        method=0,
    )
    return buffer.getvalue()


def _has_content(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.is_file() and path.stat().st_size > 0


def _whole(path: Path, format: str) -> AbstractContextManager[Path]:
    return _told(whole_folder(path), path) if format == "png-folder" else _whole_file(path)


def _whole_file(path: Path) -> AbstractContextManager[Path]:
    return _told(whole_file(path), path)


@contextmanager
def _told(whole: AbstractContextManager[Path], path: Path) -> Iterator[Path]:
    """``whole``, with one sentence for a disk that refuses."""
    try:
        with whole as partial:
            yield partial
    except OSError as error:
        raise MediaError(f"{path.name} could not be written ({error.strerror or error}).") from error
