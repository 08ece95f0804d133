"""A video and what continues it, as one stream of frames.

Shape legend: T frames, H W pixels; frames are uint8 RGB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np

from wan_core.media.fitting import fit_frames
from wan_core.media.read import stream_clip
from wan_core.schema.inputs import Fit

_CHUNK = 8  # frames


def joined_frames(
    first: Path, more: Iterable[np.ndarray], skip: int, fps: float, fit: Fit = "crop"
) -> Iterator[np.ndarray]:
    """Chunks (T, H, W, 3): the video ``first``, then ``more`` without its first ``skip`` frames.

    ``more`` comes in such chunks too, and begins with the ``skip`` last frames of ``first``, made anew.
    ``first`` is sampled at ``fps`` and brought to the size of ``more`` by ``fit``. Of each no more than
    a few frames are held.

    Raises:
        MediaError: while iterating, ``first`` cannot be read.
    """
    chunks = iter(more)
    beginning = next(chunks, None)
    if beginning is None:
        return
    height, width = beginning.shape[1:3]
    stream = stream_clip(first, fps=fps).frames
    while frames := list(islice(stream, _CHUNK)):
        yield fit_frames(frames, width, height, fit)
    for chunk in chain([beginning], chunks):
        if len(chunk) > skip:
            yield chunk[skip:]
        skip = max(skip - len(chunk), 0)
