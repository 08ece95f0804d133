"""Pictures and frames out of files; every file is treated as hostile.

Sizes are checked before anything is decoded. What comes out is always upright RGB of 8 bits: pictures are
turned as the camera says and laid on white where they are transparent; videos are turned, made of square
pixels, and sampled at equal steps of time, however irregular their frames are.

Shape legend: T frames, H W pixels.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryFile
from typing import Literal

import numpy as np

from wan_core.media.ffmpeg import MAX_FRAME_PIXELS, Decoder, list_packets
from wan_core.media.pictures import check_size, decoded, picture_size
from wan_core.media.sniff import GIF, sniff
from wan_core.schema import MediaError

MAX_PIXELS = 2**27  # width x height x frames of one clip that is held whole: 384 MiB of RGB
MAX_FRAMES = 500_000  # of one stream

_MAX_RATE = 240
_PROBE_SECONDS, _DECODE_SECONDS = 20.0, 300.0
_UPRIGHT = (  # square pixels; ffmpeg itself has turned the picture by then
    "scale=w='max(2,trunc(iw*clip(sar,0.25,4)+0.5))':h=ih"
)
_RGB = "flags=bicubic+accurate_rnd+full_chroma_int,format=rgb24"
_HDR_CURVES = (b"smpte2084", b"arib-std-b67")
_TO_SDR = (  # white of 203 nits stays white, and what is brighter is squeezed in below it
    "zscale=pin=bt2020:min=bt2020nc:t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,"
    "tonemap=mobius:param=0.8:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv444p"
)
_LOG_BYTES = 2**20
_PPM, _PPM_HEADER = re.compile(rb"P6\s(\d{1,6})\s(\d{1,6})\s255\s"), 32


@dataclass(frozen=True)
class MediaFacts:
    """Size as shown, upright, in pixels; of a picture, ``frames`` is 1 and ``fps`` and ``seconds`` are 0."""

    kind: Literal["image", "video"]
    width: int
    height: int
    frames: int
    fps: float
    seconds: float
    hdr: bool = False


@dataclass(frozen=True)
class VideoClip:
    """Decoded frames (T, H, W, 3), uint8 RGB, and their rate per second."""

    frames: np.ndarray
    fps: float


@dataclass(frozen=True)
class ClipStream:
    """Frames (H, W, 3), uint8 RGB, one at a time; ``expected`` is how many there should be."""

    frames: Iterator[np.ndarray]
    fps: float
    width: int
    height: int
    expected: int


def probe(path: Path) -> MediaFacts:
    """What a picture or video is, without decoding more than its first frame.

    Raises:
        MediaError: it is neither, is damaged, or is too large or too small.
    """
    found = sniff(path)
    if found.kind == "text":
        raise MediaError(f"{path.name} is a text; a picture or video is needed.")
    if found.kind == "image":
        return MediaFacts("image", *picture_size(path), 1, 0.0, 0.0)
    packets = list_packets(path)
    width, height, hdr = _show_first_frame(path)
    if found is GIF and packets.count == 1:
        return MediaFacts("image", width, height, 1, 0.0, 0.0)
    return MediaFacts("video", width, height, packets.count, float(packets.rate), packets.seconds, hdr)


def read_image(path: Path) -> np.ndarray:
    """A picture (H, W, 3), uint8 RGB, turned upright and laid on white; of a GIF its first frame.

    Raises:
        MediaError: it is no picture, is damaged, or is too large or too small.
    """
    return decoded(path, "RGB", "white")


def read_mask_image(path: Path) -> np.ndarray:
    """A mask (H, W), uint8, 255 where something is made anew: the brightness, and 0 where transparent.

    Raises:
        MediaError: as ``read_image``.
    """
    return decoded(path, "L", "black")


def read_opacity(path: Path) -> np.ndarray:
    """How opaque a picture is (H, W), uint8, 255 where nothing shines through.

    Raises:
        MediaError: as ``read_image``.
    """
    return decoded(path, "A", "black")


def stream_clip(
    path: Path,
    start: float = 0.0,
    end: float | None = None,
    fps: float | None = None,
    max_frames: int | None = None,
) -> ClipStream:
    """The frames of a video between two times in seconds, one at a time.

    They are sampled at ``fps``, by the times in the file; without it at the file's own mean rate, which
    gives every frame of a regular video. ``end`` None is the end; at most ``max_frames`` come.

    Raises:
        MediaError: the file is no video, is damaged, or ends before ``start``; also while iterating.
    """
    facts = probe(path)
    if facts.kind == "image":
        raise MediaError(f"{path.name} is a picture; a video is needed.")
    length = (facts.seconds if end is None else min(end, facts.seconds)) - start
    if length <= 0:
        raise MediaError(
            f"{path.name} is {facts.seconds:.2f} s long and has nothing from {start:g} s "
            f"to {'its end' if end is None else f'{end:g} s'}; choose another part."
        )
    rate = Fraction(min(fps or facts.fps, _MAX_RATE)).limit_denominator(100_000)
    expected = min(math.ceil(length * rate - 1e-3), max_frames or MAX_FRAMES)
    if expected >= MAX_FRAMES:
        raise MediaError(f"{path.name} has more than {MAX_FRAMES} frames; cut it.")
    seek = ["-ss", f"{start:.6f}"] if start else []
    seek += ["-t", f"{length:.6f}"] if end is not None else []
    sample = f"setpts=PTS-STARTPTS,fps={rate.numerator}/{rate.denominator},trim=end_frame={expected}"
    size = f"scale={facts.width}:{facts.height}:{_RGB}"
    light = [_TO_SDR] if facts.hdr else []
    output = ["-vf", ",".join([sample, *light, size]), "-frames:v", str(expected), "-f", "rawvideo", "-"]
    return ClipStream(_frames(path, seek, output, facts), float(rate), facts.width, facts.height, expected)


def read_clip(
    path: Path,
    start: float = 0.0,
    end: float | None = None,
    fps: float | None = None,
    max_frames: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> VideoClip:
    """The frames of ``stream_clip``, all in memory.

    Raises:
        MediaError: as ``stream_clip``, or they hold more than ``max_pixels``; nothing is decoded then.
    """
    stream = stream_clip(path, start, end, fps, max_frames)
    room = max_pixels // (stream.width * stream.height)
    if stream.expected > room:
        raise MediaError(
            f"{path.name} is too long at {stream.width}x{stream.height}; cut it to {room} frames."
        )
    frames = np.empty((stream.expected, stream.height, stream.width, 3), np.uint8)
    count = 0
    for frame in stream.frames:
        frames[count] = frame
        count += 1
    return VideoClip(frames[:count], stream.fps)


def read_video(path: Path, max_pixels: int = MAX_PIXELS) -> VideoClip:
    """A whole video at its own rate; raises as ``read_clip``."""
    return read_clip(path, max_pixels=max_pixels)


def read_first_frame(path: Path) -> np.ndarray:
    """(H, W, 3), uint8 RGB: a picture, or the first frame of a video; raises as ``probe``."""
    is_video = probe(path).kind == "video"
    return read_clip(path, max_frames=1).frames[0] if is_video else read_image(path)


def read_last_frames(path: Path, count: int) -> VideoClip:
    """The last ``count`` frames of a video, or all if it is shorter; raises as ``stream_clip``."""
    stream = stream_clip(path)
    return VideoClip(np.stack(deque(stream.frames, maxlen=count)), stream.fps)


def _frames(path: Path, before: list[str], after: list[str], facts: MediaFacts) -> Iterator[np.ndarray]:
    size = facts.width * facts.height * 3
    count = 0
    with Decoder(path, before, after, _DECODE_SECONDS) as decoder:
        while len(data := decoder.read(size)) == size:
            count += 1
            yield np.frombuffer(data, np.uint8).reshape(facts.height, facts.width, 3)
    if not count:
        raise MediaError(f"No frame of {path.name} can be decoded there; choose another part or file.")


def _show_first_frame(path: Path) -> tuple[int, int, bool]:
    """Decode one frame: its width and height as it is shown, and whether its light is that of HDR."""
    after = ["-frames:v", "1", "-vf", f"showinfo,{_UPRIGHT}:{_RGB}", "-f", "image2pipe", "-c:v", "ppm", "-"]
    with TemporaryFile() as log, Decoder(path, [], after, _PROBE_SECONDS, log) as decoder:
        header = _PPM.match(beginning := decoder.read(_PPM_HEADER))
        if header is None:
            raise MediaError(
                f"{path.name} is damaged, or its kind of coding is not known; convert it to H.264 MP4."
            )
        width, height = int(header[1]), int(header[2])
        check_size(path.name, width, height, MAX_FRAME_PIXELS)
        missing = header.end() + width * height * 3 - len(beginning)
        if len(decoder.read(missing)) < missing:
            raise MediaError(f"{path.name} is damaged; choose another copy of it.")
        log.seek(0)
        said = log.read(_LOG_BYTES)
    return width, height, any(b"color_trc:" + curve in said for curve in _HDR_CURVES)
