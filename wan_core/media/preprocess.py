"""Control videos drawn from plain ones: grey, edges, soft edges. Depth and pose, which need
models, and optical flow are elsewhere.

Shape legend: T frames, H W pixels; all frames are uint8 RGB (T, H, W, 3).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

CANNY_LOW, CANNY_HIGH = 100, 200  # what ControlNet's annotators use, hence what models were trained on

_TAN_22, _TAN_67 = 2**0.5 - 1, 2**0.5 + 1  # of 22.5 and 67.5 degrees, where the compared neighbours change
_SOFT_BLUR = 1.5  # pixels
_NEIGHBOURS = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]


def grey(frames: np.ndarray) -> np.ndarray:
    """Without colour: the luma of BT.601 in all three channels."""
    return np.stack([_in_rgb(np.asarray(Image.fromarray(frame).convert("L"))) for frame in frames])


def canny(frames: np.ndarray, low: float = CANNY_LOW, high: float = CANNY_HIGH) -> np.ndarray:
    """White edges, a pixel wide, on black: Canny's with 3x3 Sobel slopes and sums of their absolutes.

    An edge is where the slope is above ``low`` and it is connected to one above ``high``. Of the three
    colours, the one with the steepest slope counts at each pixel.
    """
    return np.stack([_in_rgb(_canny(frame, low, high)) for frame in frames])


def soft_edge(frames: np.ndarray) -> np.ndarray:
    """Light, wide edges on black, as bright as they are steep; the steepest hundredth of a clip is white."""
    slopes = np.stack([_slopes_of_blurred(frame) for frame in frames])
    white = max(float(np.quantile(slopes[slopes > 0], 0.99)) if slopes.any() else 0.0, 1.0)
    return np.stack([_in_rgb((np.clip(slope / white, 0, 1) * 255).astype(np.uint8)) for slope in slopes])


PREPROCESSORS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "grey": grey,
    "canny": canny,
    "soft-edge": soft_edge,
}
"""What can be drawn without a model, by its name in a request's ``preprocess``."""


def _in_rgb(picture: np.ndarray) -> np.ndarray:
    """(H, W) -> (H, W, 3)."""
    return np.repeat(picture[..., None], 3, axis=-1)


def _sobel(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, ...) -> slopes across and down of the same shape, int16; edges continue outside."""
    padded = np.pad(picture.astype(np.int16), [(1, 1), (1, 1)] + [(0, 0)] * (picture.ndim - 2), mode="edge")
    above, level, below = padded[:-2], padded[1:-1], padded[2:]
    summed = above + 2 * level + below
    lowered = below - above
    across = summed[:, 2:] - summed[:, :-2]
    down = lowered[:, :-2] + 2 * lowered[:, 1:-1] + lowered[:, 2:]
    return across, down


def _canny(frame: np.ndarray, low: float, high: float) -> np.ndarray:
    """(H, W, 3) -> (H, W) of 0 and 255."""
    across, down = _sobel(frame)
    steepness = np.abs(across) + np.abs(down)
    colour = steepness.argmax(axis=-1)[..., None]
    across, down, steepness = (
        np.take_along_axis(values, colour, axis=-1)[..., 0] for values in (across, down, steepness)
    )
    weak = (steepness > low) & _is_ridge(across, down, steepness)
    return _connected(weak, weak & (steepness > high)).astype(np.uint8) * 255


def _is_ridge(across: np.ndarray, down: np.ndarray, steepness: np.ndarray) -> np.ndarray:
    """(H, W) bool: steeper than the neighbours that lie along the slope; of two equal ones the first."""
    padded = np.pad(steepness, 1)
    height, width = steepness.shape

    def beside(dy: int, dx: int) -> np.ndarray:
        return padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]

    flat = np.abs(down) < np.abs(across) * _TAN_22
    upright = np.abs(down) > np.abs(across) * _TAN_67
    rising = (across ^ down) < 0
    horizontal = (steepness > beside(0, -1)) & (steepness >= beside(0, 1))
    vertical = (steepness > beside(-1, 0)) & (steepness >= beside(1, 0))
    falling_ridge = (steepness > beside(-1, -1)) & (steepness > beside(1, 1))
    rising_ridge = (steepness > beside(-1, 1)) & (steepness > beside(1, -1))
    diagonal = np.where(rising, rising_ridge, falling_ridge)
    return np.where(flat, horizontal, np.where(upright, vertical, diagonal))


def _connected(weak: np.ndarray, strong: np.ndarray) -> np.ndarray:
    """(H, W) bool: the pixels of ``weak`` that touch ``strong``, directly or through others."""
    height, width = weak.shape
    stride = width + 2
    waiting = np.pad(weak & ~strong, 1).ravel()
    reached = np.flatnonzero(np.pad(strong, 1))
    found = np.pad(strong, 1).ravel().copy()
    steps = np.array([dy * stride + dx for dy, dx in _NEIGHBOURS])
    while reached.size:
        beside = (reached[:, None] + steps).ravel()
        reached = np.unique(beside[waiting[beside]])
        waiting[reached] = False
        found[reached] = True
    return found.reshape(height + 2, stride)[1:-1, 1:-1]


def _slopes_of_blurred(frame: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> steepness (H, W), float32."""
    soft = Image.fromarray(frame).convert("L").filter(ImageFilter.GaussianBlur(_SOFT_BLUR))
    across, down = _sobel(np.asarray(soft))
    return np.hypot(across, down, dtype=np.float32)
