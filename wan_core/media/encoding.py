"""Frames into ffmpeg, and what it makes of them, a row per format.

Shape legend: T frames, H W pixels; frames are uint8 RGB arrays (T, H, W, 3).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from PIL import Image

from wan_core.failpoints import failpoint
from wan_core.media.atomic import partial_file
from wan_core.media.comments import SETTINGS_FILE, add_comment
from wan_core.media.encoders import encoder_of
from wan_core.media.frame_pipe import FramePipe, Frames
from wan_core.media.metadata import MEDIA_KEY, as_text, encode_picture, ffmetadata
from wan_core.schema import MediaError
from wan_core.schema.output import OutputOptions

_THREADS = "8"  # x264's output depends on it; fixed, the same frames give the same file everywhere
_FASTEST_GIF = 50  # browsers show faster ones slowly

# Said in the file, since players otherwise guess the matrix from the height and get the colours wrong.
_COLOURS = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
_TO_YUV = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"

_AUDIO = {"mp4": ["-c:a", "aac", "-b:a", "192k"], "webm": ["-c:a", "libopus", "-b:a", "128k"]}


@dataclass(frozen=True)
class Clip:
    """Frames on their way to a file: chunks (T, H, W, 3), and all that decides the file.

    ``metadata`` empty leaves it out; ``audio`` is a WAV file of ours.
    """

    name: str
    frames: Iterator[Frames]
    width: int
    height: int
    fps: float
    options: OutputOptions
    metadata: dict[str, Any]
    audio: Path | None = None

    @property
    def source(self) -> list[str]:
        """ffmpeg's arguments for the frames on its standard input."""
        size = f"{self.width}x{self.height}"
        return ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(self.fps), "-i", "pipe:0"]


def encode(clip: Clip, target: Path) -> None:
    """Write a clip to ``target``, a file, or an empty folder for frames in a folder.

    Raises:
        MediaError: ffmpeg refuses.
        OSError: the disk refuses.
    """
    _WRITERS[clip.options.video_format](clip, target)


def _write_video(clip: Clip, target: Path) -> None:
    if clip.height % 2 or clip.width % 2:
        raise MediaError(f"a video of {clip.width}x{clip.height} cannot be written; H.264 needs even sides.")
    format = clip.options.video_format
    with _tags_file(target, clip.metadata) as tags:
        sound = ["-i", f"file:{clip.audio}"] if clip.audio else []
        comment = ["-f", "ffmetadata", "-i", f"file:{tags}"] if tags else []
        told = ["-map_metadata", "2" if clip.audio else "1"] if tags else ["-map_metadata", "-1"]
        coding = ["-map", "0:v", *encoder_of(clip.options).arguments(clip.options.crf)]
        coding += ["-threads", _THREADS, "-vf", _TO_YUV, *_COLOURS]
        coding += ["-map", "1:a", *_AUDIO[format]] if clip.audio else []
        ending = ["-movflags", "+faststart"] if format == "mp4" else []
        _run(clip, [*clip.source, *sound, *comment, *told, *coding, *ending, "-f", format], target)


def _write_webp(clip: Clip, target: Path) -> None:
    quality = ["-quality", str(100 - clip.options.crf)] if clip.options.crf else ["-lossless", "1"]
    coding = ["-c:v", "libwebp_anim", *quality, "-loop", str(clip.options.loop_count), "-pix_fmt", "bgra"]
    _run(clip, [*clip.source, *coding, "-f", "webp"], target)
    if clip.metadata:
        add_comment(target, "webp", json.dumps(clip.metadata, sort_keys=True).encode())


def _write_gif(clip: Clip, target: Path) -> None:
    """In two passes: the 256 colours that suit the whole clip best, then the frames in them."""
    with partial_file(target.parent, ".mkv") as kept, partial_file(target.parent, ".png") as palette:
        rate = f"fps={_FASTEST_GIF}," if clip.fps > _FASTEST_GIF else ""
        graph = f"[0:v]{rate}split[all][seen];[seen]palettegen=stats_mode=diff:reserve_transparent=0[colours]"
        exact = ["-c:v", "libx264rgb", "-qp", "0", "-preset", "ultrafast", "-f", "matroska"]
        first = [*clip.source, "-filter_complex", graph, "-map", "[all]", *exact, "-y", f"file:{kept}"]
        first += ["-map", "[colours]", "-frames:v", "1", "-update", "1", "-c:v", "png", "-f", "image2"]
        _run(clip, first, palette)
        count = clip.options.loop_count
        loops = {0: "0", 1: "-1"}.get(count, str(count - 1))
        second = ["-i", f"file:{kept}", "-i", f"file:{palette}", "-lavfi", "paletteuse=diff_mode=rectangle"]
        with RunningEncoder([*second, "-loop", loops, "-f", "gif", "-y", f"file:{target}"], clip.name):
            pass
    if clip.metadata:
        add_comment(target, "gif", json.dumps(clip.metadata, sort_keys=True).encode())


def _write_zip(clip: Clip, target: Path) -> None:
    """Frames and, before them, the settings; nothing is packed twice."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, data in _png_files(clip):
            archive.writestr(zipfile.ZipInfo(name), data)


def _write_folder(clip: Clip, target: Path) -> None:
    for name, data in _png_files(clip):
        (target / name).write_bytes(data)


def _png_files(clip: Clip) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file; every frame tells the settings, too, but not the inputs."""
    if clip.metadata:
        yield SETTINGS_FILE, as_text(clip.metadata).encode()
    told = {key: value for key, value in clip.metadata.items() if key != MEDIA_KEY}
    number = 0
    for chunk in clip.frames:
        for frame in chunk:
            number += 1
            yield f"frame_{number:05}.png", encode_picture(Image.fromarray(frame), "png", told)


def _run(clip: Clip, arguments: list[str], target: Path) -> None:
    """ffmpeg with all frames of a clip."""
    with RunningEncoder([*arguments, "-y", f"file:{target}"], clip.name) as encoder:
        for chunk in clip.frames:
            encoder.write(chunk)


@contextmanager
def _tags_file(partial: Path, metadata: dict[str, Any]) -> Iterator[Path | None]:
    if not metadata:
        yield None
        return
    path = partial.with_name(f"{partial.name}.txt")
    try:
        path.write_text(ffmetadata(metadata), encoding="utf-8", newline="\n")
        yield path
    finally:
        path.unlink(missing_ok=True)


_WRITERS: dict[str, Callable[[Clip, Path], None]] = {
    "mp4": _write_video,
    "webm": _write_video,
    "gif": _write_gif,
    "webp": _write_webp,
    "png": _write_zip,
    "png-folder": _write_folder,
}


class RunningEncoder:
    """A running ffmpeg that takes frames; leaving the block waits for it, or kills it after an error.

    ``arguments`` are ffmpeg's; ``name`` is the file that complaints are about.

    Raises:
        MediaError: ffmpeg refuses.
    """

    def __init__(self, arguments: list[str], name: str) -> None:
        self._arguments, self._name = arguments, name
        self._complaints = b""

    def __enter__(self) -> RunningEncoder:
        self._pipe = FramePipe(self._arguments, "stderr", self._listen)
        return self

    def write(self, frames: Frames) -> None:
        """Hand over frames (T, H, W, 3) uint8; blocks while ffmpeg is behind."""
        failpoint("encode")
        try:
            self._pipe.write(frames)
        except BrokenPipeError:
            self._pipe.wait()
            raise self._failure() from None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._pipe.kill()
        self._pipe.close()
        if self._pipe.wait() and kind is None:
            raise self._failure()

    def _listen(self, said: IO[bytes]) -> None:
        self._complaints = said.read()

    def _failure(self) -> MediaError:
        lines = self._complaints.decode(errors="replace").strip().splitlines() or ["ffmpeg was stopped"]
        return MediaError(
            f"{self._name} could not be written: {lines[0]}. Check the free space, then decode the saved "
            "latents again."
        )
