"""The size and length that a model works at, parts of pictures, and pictures brought to a size.

Shape legend: T frames, H W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from wan_core.schema.inputs import Fit

Box = tuple[float, float, float, float]
"""Left, top, right and bottom edge."""


@dataclass(frozen=True)
class PixelBox:
    """A part of a picture, in pixels; ``right`` and ``bottom`` are the first that lie outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def rows(self) -> slice:
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        return slice(self.left, self.right)


def part_of(shape: tuple[int, int], shares: Box | None) -> PixelBox:
    """The part of a picture of ``shape`` (height, width) that lies in a box of shares of its sides.

    Each edge is brought to the nearest line between pixels, halfway to the even one; the part is at least
    one pixel large. None is the whole.
    """
    height, width = shape
    left, top, right, bottom = shares or (0, 0, 1, 1)
    (left, right), (top, bottom) = _span(left, right, width), _span(top, bottom, height)
    return PixelBox(left, top, right, bottom)


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    begin = min(round(low * size), size - 1)
    return begin, max(round(high * size), begin + 1)


def cut(frame: np.ndarray, shares: Box | None) -> np.ndarray:
    """The part of a frame (H, W[, C]) that ``part_of`` names; a copy, so that the whole may be dropped."""
    if shares is None:
        return frame
    box = part_of(frame.shape[:2], shares)
    return frame[box.rows, box.columns].copy()


def fit_size(area: int, shape: tuple[int, int], multiple: int = 16) -> tuple[int, int]:
    """(width, height) of about ``area`` pixels with the aspect of ``shape`` (height, width).

    The official rule (spec 7): each side is floored to a multiple of ``multiple``, 16 for Wan (8 of the
    VAE times 2 of the patches), so the area is never above ``area`` unless a side is below one multiple.
    Reckoned in whole numbers, so a shape that has the area exactly is returned as it is.
    """
    height, width = shape
    sides = (math.isqrt(area * width // height), math.isqrt(area * height // width))
    across, down = (max(side // multiple, 1) * multiple for side in sides)
    return across, down


def fit_vace_size(area: int, shape: tuple[int, int], multiple: int = 16) -> tuple[int, int]:
    """(width, height) of a VACE model's source video of ``shape`` (height, width).

    The official rule (spec 8): as many cells of ``multiple`` x ``multiple`` as fit in ``area``, but no more
    than the video has, in as many rows as its aspect calls for, and as many columns as are left for them.
    So a video is never enlarged, unless it has less than a cell. The rule bounds tokens, too, and a clip's
    length by them; as that length is what gives way, the size does not depend on it.
    """
    height, width = shape
    cells = max(min(area // multiple**2, (height // multiple) * (width // multiple)), 1)
    rows = min(max(round(math.sqrt(cells * (height / width))), 1), cells)
    return cells // rows * multiple, rows * multiple


def fit_frames(
    frames: Iterable[np.ndarray], width: int, height: int, fit: Fit, border: int = 0
) -> np.ndarray:
    """Frames (H, W, 3) or masks (H, W), uint8, of any one size -> (T, height, width[, 3]).

    ``crop`` covers the target and cuts the edges evenly, ``fit`` is wholly inside it with a ``border`` of
    that grey value, ``stretch`` fills it and changes the aspect. Resampled bicubic and antialiased, as the
    official code does with videos (spec 8); a frame of the right size stays as it is. ``frames`` may be a
    stream: only the results are held.
    """
    return np.stack([_fit(frame, width, height, fit, border) for frame in frames])


def fit_length(frames: np.ndarray, num_frames: int) -> np.ndarray:
    """(T, ...) -> (num_frames, ...): what is too long is cut, what is too short holds its last frame."""
    missing = num_frames - len(frames)
    if missing <= 0:
        return frames[:num_frames]
    return np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)])


def shown_box(shape: tuple[int, int], width: int, height: int, fit: Fit) -> Box:
    """The part (left, top, right, bottom) of a picture of ``shape`` (height, width) that a model sees.

    A picture is cut as if it were resized to whole pixels that cover the target, and whole pixels were cut
    from these (spec 8).
    """
    down, across = shape
    if fit != "crop":
        return (0.0, 0.0, float(across), float(down))
    scale = max(width / across, height / down)
    columns, rows = max(round(across * scale), width), max(round(down * scale), height)
    left, top = (columns - width) // 2, (rows - height) // 2
    to_across, to_down = across / columns, down / rows
    return (left * to_across, top * to_down, (left + width) * to_across, (top + height) * to_down)


def _fit(frame: np.ndarray, width: int, height: int, fit: Fit, border: int) -> np.ndarray:
    if frame.shape[:2] == (height, width):
        return frame
    picture = Image.fromarray(frame)
    if fit != "fit":
        box = shown_box(frame.shape[:2], width, height, fit)
        return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC, box=box))
    scale = min(width / picture.width, height / picture.height)
    inside = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
    canvas = np.full((height, width, *frame.shape[2:]), border, np.uint8)
    left, top = (width - inside[0]) // 2, (height - inside[1]) // 2
    canvas[top : top + inside[1], left : left + inside[0]] = picture.resize(inside, Image.Resampling.BICUBIC)
    return canvas
