"""What is done to finished frames on their way to the file: in-between frames, enlarging, ping-pong.

In-between frames are drawn by ffmpeg's motion-compensated ``minterpolate``, which is built in; enlarging is
Pillow's Lanczos. Everything streams: no more than a few frames are in memory, and ping-pong keeps what it
has to play backwards on the disk.

Shape legend: T frames, H W pixels; frames are uint8 RGB arrays (T, H, W, 3).
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from wan_core.media.atomic import partial_file
from wan_core.media.frame_pipe import FramePipe, Frames
from wan_core.schema import MediaError
from wan_core.schema.output import OutputOptions

_CHUNK = 8  # frames
_PADDING = 4  # frames that minterpolate holds back at the end
_MOTION = "mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1"
_EXACT = "flags=accurate_rnd+full_chroma_int+full_chroma_inp"


Enlarge = Callable[[Iterable[Frames], int], Iterator[Frames]]
"""Makes frames larger, which are so many: a learnt upscaler, see ``wan_core.manager.upscalers``."""


def finished(
    frames: Iterable[Frames],
    fps: float,
    options: OutputOptions,
    folder: Path,
    enlarge: Enlarge | None = None,
) -> Iterator[Frames]:
    """Chunks of frames as the options want them written, to be shown at ``finished_fps``.

    ``folder`` is where frames are kept meanwhile, by ping-pong and for ``enlarge``, which takes the place of
    Lanczos resampling.

    Raises:
        MediaError: while iterating, ffmpeg or the disk refuses.
    """
    chunks = iter(frames)
    if finished_fps(fps, options) != fps:
        chunks = interpolated(chunks, fps, options.interpolate_fps)
    if enlarge is not None:
        chunks = all_then(chunks, enlarge, folder)
    elif options.upscale != 1:
        chunks = enlarged(chunks, options.upscale)
    return ping_pong(chunks, folder) if options.ping_pong else chunks


def finished_fps(fps: float, options: OutputOptions) -> float:
    """Frames per second of what ``finished`` gives: interpolating never takes frames away."""
    return max(fps, options.interpolate_fps)


def interpolated_count(frames: int, fps: float, target: float) -> int:
    """How many frames ``interpolated`` gives: the first and the last time are those of the clip."""
    return int((frames - 1) * target / fps + 1e-6) + 1 if frames > 1 else frames


def enlarged(frames: Iterable[Frames], factor: float) -> Iterator[Frames]:
    """Every frame enlarged by Lanczos resampling, to even sides."""
    for chunk in frames:
        height, width = enlarged_size(chunk[0], factor)
        yield np.stack([resized(frame, width, height) for frame in chunk])


def enlarged_size(frame: np.ndarray, factor: float) -> tuple[int, int]:
    """Height and width of a frame (H, W, 3) that has been enlarged: even numbers."""
    height, width = (max(round(side * factor / 2) * 2, 2) for side in frame.shape[:2])
    return height, width


def resized(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """A frame at another size, by Lanczos resampling."""
    picture = Image.fromarray(np.ascontiguousarray(frame))
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))


def all_then(frames: Iterable[Frames], enlarge: Enlarge, folder: Path) -> Iterator[Frames]:
    """Every frame enlarged, once the last one is there: then no model is in use any more that made them.

    Raises:
        MediaError: while iterating, the disk refuses.
    """
    with partial_file(folder, ".frames") as spool:
        kept = _Kept(spool, "Enlarging")
        for _ in kept.all_of(frames):
            pass
        if kept.count:
            yield from enlarge((kept.read(place, place + 1) for place in range(kept.count)), kept.count)


def ping_pong(frames: Iterable[Frames], folder: Path) -> Iterator[Frames]:
    """Forward, then backward without the two ends, so that a loop shows no frame twice in a row.

    Raises:
        MediaError: while iterating, the disk refuses.
    """
    with partial_file(folder, ".frames") as spool:
        kept = _Kept(spool, "Playing backwards")
        yield from kept.all_of(frames)
        for end in range(kept.count - 1, 1, -_CHUNK):
            yield kept.read(max(end - _CHUNK, 1), end)[::-1]


class _Kept:
    """Frames on the disk."""

    def __init__(self, spool: Path, doing: str) -> None:
        self._spool, self._doing = spool, doing
        self._shape: tuple[int, ...] = (0, 0, 3)
        self.count = 0

    def all_of(self, frames: Iterable[Frames]) -> Iterator[Frames]:
        """The same chunks, which are kept on their way."""
        try:
            with self._spool.open("wb") as file:
                for chunk in frames:
                    file.write(np.ascontiguousarray(chunk).data)
                    self.count, self._shape = self.count + len(chunk), chunk.shape[1:]
                    yield chunk
        except OSError as error:
            folder = self._spool.parent
            raise MediaError(f"{self._doing} needs disk space in {folder}: {error.strerror}.") from error

    def read(self, start: int, stop: int) -> Frames:
        """Some of them, as a copy."""
        return np.array(np.memmap(self._spool, np.uint8, "r", shape=(self.count, *self._shape))[start:stop])


def interpolated(frames: Iterable[Frames], fps: float, target: float) -> Iterator[Frames]:
    """In-between frames drawn from the motion, from ``fps`` to ``target`` frames per second.

    Frames that are in the clip at a new frame's time come out as they were, but for the rounding of their
    colours.

    Raises:
        MediaError: while iterating, ffmpeg refuses.
    """
    chunks = iter(frames)
    first = next(chunks, None)
    if first is None:
        return
    height, width = first.shape[1:3]
    given, done, last = 0, 0, first[-1:]
    with _MotionFilter(width, height, fps, target) as motion:
        for chunk in chain([first], chunks):
            given, last = given + len(chunk), chunk[-1:] if len(chunk) else last
            motion.write(chunk)
            for made in motion.made(interpolated_count(given, fps, target) - done):
                done += len(made)
                yield made
        motion.write(np.repeat(last, _PADDING, axis=0))
        motion.close()
        for made in motion.rest(interpolated_count(given, fps, target) - done):
            done += len(made)
            yield made
    if done < interpolated_count(given, fps, target):
        raise MediaError("ffmpeg could not draw the in-between frames; switch interpolation off.")


class _MotionFilter:
    """A running ffmpeg that takes frames and gives more of them; both ends are this thread's."""

    def __init__(self, width: int, height: int, fps: float, target: float) -> None:
        self._shape = (height, width, 3)
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
        matrix = "out_color_matrix=bt709:out_range=pc"
        back = "in_color_matrix=bt709:in_range=pc"
        filters = (
            f"scale={matrix}:{_EXACT},format=yuv444p,minterpolate=fps={target}:{_MOTION},"
            f"scale={back}:{_EXACT},format=rgb24"
        )
        self._arguments = [
            *(*raw, "-s", f"{width}x{height}", "-r", str(fps), "-i", "pipe:0"),
            *("-vf", filters, *raw, "-"),
        ]
        self._made: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def __enter__(self) -> _MotionFilter:
        self._pipe = FramePipe(self._arguments, "stdout", self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.kill()
        self._pipe.close()
        self._pipe.wait()

    def write(self, frames: Frames) -> None:
        try:
            self._pipe.write(frames)
        except (BrokenPipeError, ValueError):  # what is missing shows in the count
            self.close()

    def close(self) -> None:
        """No more frames come."""
        self._pipe.close()

    def made(self, most: int) -> Iterator[Frames]:
        """What has been made so far, frame by frame; never waits."""
        for _ in range(most):
            if self._made.empty():
                return
            if (data := self._made.get()) is None:
                return
            yield self._frame(data)

    def rest(self, most: int) -> Iterator[Frames]:
        """What is made until the end."""
        for _ in range(most):
            if (data := self._made.get()) is None:
                return
            yield self._frame(data)

    def _frame(self, data: bytes) -> Frames:
        return np.frombuffer(data, np.uint8).reshape(1, *self._shape)

    def _listen(self, drawn: IO[bytes]) -> None:
        size = int(np.prod(self._shape))
        while len(data := drawn.read(size)) == size:
            self._made.put(data)
        self._made.put(None)
