"""Where the parts of a clip lie that a request keeps or has made anew. Imports no torch.

Shape legend: T frames, H W pixels. A mask is uint8, 255 = made anew, 0 = kept, and of a shape that
broadcasts to (T, H, W).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from wan_core.media.fitting import Box, PixelBox, part_of

DEFAULT_OVERLAP = 17
"""Frames of a clip that are taken over when it is extended and nothing is said: a second at 16 fps."""

ANEW = 255
"""The value of a mask where something is made anew."""

_HALF = 127

_TEMPORAL_STRIDE = 4


def is_new(mask: np.ndarray) -> np.ndarray:
    """A mask as yes or no: where something is made anew."""
    return mask > _HALF


def region_box(region: Box, width: int, height: int) -> PixelBox:
    """The box (left, top, right, bottom), as parts of the sides, in pixels; at least one pixel large."""
    return part_of((height, width), region)


def outpaint_box(added: Box, width: int, height: int) -> PixelBox:
    """Where the video lies on a canvas of ``width`` x ``height``.

    ``added`` is what the canvas has more than the video to its left, above, to its right and below it,
    as parts of the video's own sides.
    """
    across, down = 1 + added[0] + added[2], 1 + added[1] + added[3]
    video = (added[0] / across, added[1] / down, (1 + added[0]) / across, (1 + added[1]) / down)
    return part_of((height, width), video)


def inside_mask(box: PixelBox, width: int, height: int) -> np.ndarray:
    """(1, H, W): the box is made anew, all around it is kept."""
    mask = np.zeros((1, height, width), np.uint8)
    mask[:, box.rows, box.columns] = ANEW
    return mask


def outside_mask(box: PixelBox, width: int, height: int) -> np.ndarray:
    """(1, H, W): the box is kept, all around it is made anew."""
    return ANEW - inside_mask(box, width, height)


def frames_mask(kept: tuple[int, ...], num_frames: int) -> np.ndarray:
    """(T, 1, 1): the frames of these numbers are kept; -1 is the last."""
    mask = np.full((num_frames, 1, 1), ANEW, np.uint8)
    mask[list(kept)] = 0
    return mask


def overlap(kept: tuple[int, ...], num_frames: int, available: int) -> int:
    """Frames that an extension takes over from a clip of which so many are ``available``.

    ``kept`` is the request's ``kept_frames``: one number, or nothing; then it is 17, or, in clips shorter
    than 33 frames, the half of them that fills whole latent frames.
    """
    half = (num_frames - 1) // (2 * _TEMPORAL_STRIDE) * _TEMPORAL_STRIDE + 1
    wanted = kept[0] if kept else min(DEFAULT_OVERLAP, half)
    return min(wanted, available, num_frames - 1)


def overlap_slice(direction: Literal["before", "after"], count: int, num_frames: int) -> slice:
    """The frames of the new clip that come from the old one.

    What goes on ``after`` a clip begins with its last frames; what leads up to it ends with its first.
    """
    return slice(0, count) if direction == "after" else slice(num_frames - count, num_frames)
