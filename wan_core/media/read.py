"""Frames out of a video file; the file is treated as hostile.

The demuxer is pinned to MP4/MOV, so a playlist under a video's name cannot make ffmpeg open other files
or addresses, and the size is checked before any frame is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from wan_core.schema import MediaError

MAX_PIXELS = 2**31  # width x height x frames of one clip: 6 GiB of RGB

_PINNED = ["-f", "mov", "-protocol_whitelist", "file", "-hide_banner"]


@dataclass(frozen=True)
class VideoClip:
    """Decoded frames (T, H, W, 3), uint8 RGB, and their rate per second."""

    frames: np.ndarray
    fps: float


def read_video(path: Path, max_pixels: int = MAX_PIXELS) -> VideoClip:
    """All frames of an MP4 or MOV.

    Raises:
        MediaError: the file is no such video, is damaged, or holds more than ``max_pixels``.
    """
    if not path.is_file():
        raise MediaError(f"{path.name} cannot be opened; check that it exists.")
    reader = imageio_ffmpeg.read_frames(str(path.resolve()), pix_fmt="rgb24", input_params=_PINNED)
    try:
        about = next(reader)
        width, height = about["size"]
        limit = max_pixels // max(width * height, 1)
        frames: list[np.ndarray] = []
        for data in reader:
            if len(frames) >= limit:
                raise MediaError(f"{path.name} is too long at {width}x{height}; cut it to {limit} frames.")
            frames.append(np.frombuffer(data, np.uint8).reshape(height, width, 3))
    except (OSError, RuntimeError, KeyError, IndexError, ValueError) as error:
        raise MediaError(f"{path.name} is no MP4 or MOV video that can be read.") from error
    finally:
        reader.close()
    if not frames:
        raise MediaError(f"{path.name} holds no frames.")
    return VideoClip(np.stack(frames), float(about["fps"]))
