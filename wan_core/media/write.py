"""Videos, pictures, posters and previews on disk: whole or not at all, see ``wan_core.media.atomic``.

Shape legend: T frames, H W pixels; frames are uint8 RGB arrays (T, H, W, 3).
"""

from __future__ import annotations

import io
import subprocess
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from PIL import Image

from wan_core.media.atomic import partial_file, whole_file
from wan_core.media.metadata import encode_picture, ffmetadata
from wan_core.media.read import read_first_frame
from wan_core.schema import MediaError
from wan_core.schema.request import ImageFormat

POSTER_SUFFIX = ".poster.webp"
"""What follows the stem of a file in the name of its poster; never the name of a picture itself."""

Frames = np.ndarray

_NAME_LENGTH = 12  # characters of the job id that go into a file name
_PREVIEW_QUALITY = 75
_POSTER_QUALITY = 85
_THREADS = "8"  # x264's output depends on it; fixed, the same frames give the same file everywhere

# Said in the file, since players otherwise guess the matrix from the height and get the colours wrong.
_COLOURS = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]


def new_video_path(folder: Path, job_id: str, suffix: str = ".mp4") -> Path:
    """A name that no file in ``folder`` has: local time, job id, and a counter when both collide."""
    safe = "".join(char for char in job_id if char.isascii() and char.isalnum())[:_NAME_LENGTH] or "video"
    stem = f"{datetime.now():%Y%m%d-%H%M%S}-{safe}"
    path, copy = folder / f"{stem}{suffix}", 1
    while path.exists():
        copy += 1
        path = folder / f"{stem}-{copy}{suffix}"
    return path


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
    """Encode chunks of frames, as they come, to an H.264 MP4 (yuv420p, faststart) at ``path``.

    Only one chunk is held at a time. ``metadata`` goes into the file's comment as JSON; an empty one
    leaves it out. An existing file is replaced. An exception of ``frames`` passes through and leaves
    no file behind.

    Raises:
        MediaError: ffmpeg or the disk refuses, or there are no frames.
    """
    chunks = iter(frames)
    first = next(chunks, None)
    if first is None or not len(first):
        raise MediaError(f"{path.name} has no frames; nothing was written.")
    with _whole_file(path) as partial, _metadata_file(partial, metadata) as tags:
        with _Encoder(_command(first.shape, partial, fps, crf, tags), path.name) as encoder:
            encoder.write(first)
            for chunk in chunks:
                encoder.write(chunk)
        if not partial.exists() or not partial.stat().st_size:
            raise MediaError(f"{path.name} came out empty; the disk may be full.")


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


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """``whole_file``, with one sentence for a disk that refuses."""
    try:
        with whole_file(path) as partial:
            yield partial
    except OSError as error:
        raise MediaError(f"{path.name} could not be written ({error.strerror or error}).") from error


@contextmanager
def _metadata_file(partial: Path, metadata: dict[str, Any]) -> Iterator[Path | None]:
    if not metadata:
        yield None
        return
    path = partial.with_name(f"{partial.name}.txt")
    try:
        path.write_text(ffmetadata(metadata), encoding="utf-8", newline="\n")
        yield path
    finally:
        path.unlink(missing_ok=True)


def _command(shape: tuple[int, ...], target: Path, fps: int, crf: int, tags: Path | None) -> list[str]:
    """ffmpeg's arguments: raw RGB on standard input, an MP4 at ``target``."""
    _, height, width, _ = shape
    if height % 2 or width % 2:
        raise MediaError(f"a video of {width}x{height} cannot be written; H.264 needs even sides.")
    source = [
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        f"{width}x{height}",
        "-r",
        str(fps),
        "-i",
        "pipe:0",
    ]
    comment = ["-f", "ffmetadata", "-i", f"file:{tags}", "-map_metadata", "1"] if tags else []
    coding = ["-map", "0:v", "-c:v", "libx264", "-crf", str(crf), "-preset", "medium"]
    coding += ["-threads", _THREADS]
    coding += ["-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"]
    target_options = ["-movflags", "+faststart", "-f", "mp4", "-y", f"file:{target}"]
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    return [
        ffmpeg,
        "-hide_banner",
        "-loglevel",
        "error",
        *source,
        *comment,
        *coding,
        *_COLOURS,
        *target_options,
    ]


class _Encoder:
    """A running ffmpeg that takes frames; leaving the block waits for it, or kills it after an error."""

    def __init__(self, command: list[str], name: str) -> None:
        self._command = command
        self._name = name
        self._complaints = b""

    def __enter__(self) -> _Encoder:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us to act on
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def write(self, frames: Frames) -> None:
        """Hand over frames (T, H, W, 3) uint8; blocks while ffmpeg is behind."""
        try:
            self._process.stdin.write(np.ascontiguousarray(frames).data)
        except BrokenPipeError:
            self._process.wait()
            raise self._failure() from None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._process.kill()
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            self._process.wait()
        code = self._process.wait()
        self._listener.join()
        self._process.stderr.close()
        if kind is None and code:
            raise self._failure()

    def _listen(self) -> None:
        self._complaints = self._process.stderr.read()

    def _failure(self) -> MediaError:
        self._listener.join()
        lines = self._complaints.decode(errors="replace").strip().splitlines() or ["ffmpeg was stopped"]
        return MediaError(
            f"{self._name} could not be written: {lines[0]}. Check the free space, then decode the saved "
            "latents again."
        )
