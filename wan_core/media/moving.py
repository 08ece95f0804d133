"""Thumbnails that move: a small looping WebP beside a video, or beside frames in a ZIP or a folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from wan_core.media.atomic import whole_file
from wan_core.media.exporting import saved_frames
from wan_core.media.read import probe, stream_clip
from wan_core.media.write import animated_webp
from wan_core.schema import MediaError

MOVING_SUFFIX = ".moving.webp"
"""What follows the stem of a video in the name of its moving thumbnail."""

SIDE = 240
_MOST_FRAMES, _FASTEST = 24, 8.0


def moving_path(video: Path) -> Path:
    """Where the moving thumbnail of a video lies, if it has one."""
    return video.with_name(f"{video.stem}{MOVING_SUFFIX}")


def write_moving(video: Path) -> Path | None:
    """Make the moving thumbnail of a video: at most 24 frames of 240 pixels that loop for ever.

    All of the video is seen at its own speed, with frames left out. None for a picture, or one frame.

    Raises:
        MediaError: the video cannot be read, or the disk refuses.
    """
    frames, rate = saved_frames(video, _FASTEST, _MOST_FRAMES) or _decoded_frames(video)
    small = [_shrunk(frame) for frame in frames]
    if len(small) < 2:
        return None
    path = moving_path(video)
    try:
        with whole_file(path) as partial:
            partial.write_bytes(animated_webp(small, round(1000 / rate)))
    except OSError as error:
        raise MediaError(f"{path.name} could not be written ({error.strerror or error}).") from error
    return path


def _decoded_frames(video: Path) -> tuple[Iterable[np.ndarray], float]:
    """Frames of a video at its own speed, and how many a second; none of a picture."""
    facts = probe(video)
    if facts.kind == "image" or facts.frames < 2:
        return (), 1.0
    rate = min(_FASTEST, facts.fps, _MOST_FRAMES / facts.seconds)
    return stream_clip(video, fps=rate, max_frames=_MOST_FRAMES).frames, rate


def _shrunk(frame: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(frame)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(picture)
