"""What is seen in a clip of the demo world, by classical means: colours, outlines and tracks.

Knows the palette of the world but none of the code that draws it, and no neural network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

PALETTE = {
    "red": (222, 44, 48),
    "yellow": (247, 215, 52),
    "green": (46, 178, 78),
    "blue": (38, 82, 224),
    "purple": (156, 56, 196),
    "white": (246, 246, 246),
}
BACKGROUNDS = {"night": (8, 10, 26), "grey": (116, 116, 120), "sky": (132, 181, 221), "earth": (104, 73, 49)}
_CONTRAST = 55.0  # RGB distance from the background that makes a pixel part of the thing
_LEAST_AREA = 20  # pixels; below it nothing was seen
_FINE = 4  # parts of a pixel's side in which ideal shapes are drawn
_GROWTH = 2.2  # area at the end against the beginning
_LEAST_WAY = 8.0  # pixels; below it nothing has moved
_LONGEST_LEAP = 11.0  # pixels from frame to frame; the fastest hop takes 9


def _ring(corners: int, *radii: float) -> np.ndarray:
    """Corners (N, 2), x and y, evenly around a centre from its top on, at these distances in turn."""
    angle = np.arange(corners) * 2 * np.pi / corners
    return np.resize(radii, corners)[:, None] * np.stack([np.sin(angle), -np.cos(angle)], axis=1)


# What the four words mean, upright: a regular pentagram, and a triangle as high as it is wide
_IDEALS = {
    "circle": _ring(60, 1.0),
    "square": np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=float),
    "triangle": np.array([(0.5, 0), (1, 1), (0, 1)], dtype=float),
    "star": _ring(10, 1.0, 0.382),
}


@dataclass(frozen=True)
class Sighting:
    """What one clip shows; "nothing" where it cannot be told."""

    colour: str
    shape: str
    motion: str
    background: str


def detect(frames: np.ndarray) -> Sighting:
    """Frames (T, H, W, 3), uint8, with one thing in them -> what it is and does."""
    frames = frames.astype(np.float64)
    border = np.concatenate(
        [frames[:, :2].reshape(-1, 3), frames[:, -2:].reshape(-1, 3), frames[:, :, :2].reshape(-1, 3)]
    )
    background = _nearest(np.median(border, axis=0), BACKGROUNDS)
    masks = thing_masks(frames)
    areas = masks.sum(axis=(1, 2))
    seen = areas >= _LEAST_AREA
    if seen.sum() < max(len(frames) // 2, 1):
        return Sighting("nothing", "nothing", "nothing", background)
    core = np.stack([_eroded(mask) for mask in masks])
    colour = _nearest(np.median(frames[core if core.sum() > 50 else masks], axis=0), PALETTE)
    largest = np.argsort(areas)[-max(3, len(frames) // 2) :]  # outlines of small things are vague
    outlines = [masks[i] for i in largest if seen[i]]
    return Sighting(colour, _shape(outlines), _motion(masks[seen]), background)


def thing_masks(frames: np.ndarray) -> np.ndarray:
    """Frames (T, H, W, 3) -> (T, H, W), bool: the largest part of each that is no background."""
    frames = frames.astype(np.float64)
    rows = np.median(frames, axis=(0, 2))  # each row's own background: its shade depends on the height
    masks = np.linalg.norm(frames - rows[None, :, None], axis=-1) > _CONTRAST
    return np.stack([_largest_part(mask) for mask in masks])


def is_smooth(masks: np.ndarray) -> bool:
    """Whether the thing is there in every frame (T, H, W) and nowhere leaps."""
    if (masks.sum(axis=(1, 2)) < _LEAST_AREA).any():
        return False
    track = np.array([np.argwhere(mask).mean(axis=0) for mask in masks])
    return bool((np.linalg.norm(np.diff(track, axis=0), axis=1) < _LONGEST_LEAP).all())


def psnr(one: np.ndarray, other: np.ndarray, where: np.ndarray | None = None) -> float:
    """Decibels between pixels, uint8; ``where`` broadcasts to (T, H, W) and says which count."""
    error = (one.astype(np.float64) - other.astype(np.float64)) ** 2
    if where is not None:
        error = error[np.broadcast_to(where, error.shape[:-1])]
    return float(10 * np.log10(255**2 / max(error.mean(), 1e-3)))


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of masks (T, H, W), the mean of the frames in which there is anything."""
    union = (one | other).sum(axis=(1, 2))
    both = (one & other).sum(axis=(1, 2))
    return float((both[union > 0] / union[union > 0]).mean()) if union.any() else 0.0


def _nearest(colour: np.ndarray, table: dict[str, tuple[int, int, int]]) -> str:
    return min(table, key=lambda name: float(np.linalg.norm(colour - np.array(table[name]))))


def _largest_part(mask: np.ndarray) -> np.ndarray:
    """The largest 4-connected part of a mask."""
    left, best = mask.copy(), np.zeros_like(mask)
    while left.any():
        part = np.zeros_like(mask)
        part[tuple(np.argwhere(left)[0])] = True
        while True:
            grown = part.copy()
            grown[1:] |= part[:-1]
            grown[:-1] |= part[1:]
            grown[:, 1:] |= part[:, :-1]
            grown[:, :-1] |= part[:, 1:]
            grown &= left
            if (grown == part).all():
                break
            part = grown
        left &= ~part
        if part.sum() > best.sum():
            best = part
    return best


def _eroded(mask: np.ndarray) -> np.ndarray:
    inner = np.zeros_like(mask)
    inner[1:-1, 1:-1] = mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    return inner


def _shape(masks: list[np.ndarray]) -> str:
    """The shape whose ideal, of the same area at the same place, covers the outlines best."""
    fits = {name: np.median([_fit(mask, corners) for mask in masks]) for name, corners in _IDEALS.items()}
    return max(fits, key=lambda name: fits[name])


def _fit(mask: np.ndarray, corners: np.ndarray) -> float:
    """Intersection over union of a mask (H, W) and a polygon with its area and its centre of gravity."""
    y, x = np.nonzero(mask)
    area, centre = _area_and_centre(corners)
    placed = (corners - centre) * np.sqrt(len(y) / area) + (x.mean() + 0.5, y.mean() + 0.5)
    canvas = Image.new("L", tuple(side * _FINE for side in mask.shape[::-1]))
    ImageDraw.Draw(canvas).polygon([tuple(point) for point in placed * _FINE - 0.5], fill=1)
    ideal = np.asarray(canvas).reshape(mask.shape[0], _FINE, mask.shape[1], _FINE).mean(axis=(1, 3))
    return float(np.minimum(ideal, mask).sum() / np.maximum(ideal, mask).sum())


def _area_and_centre(corners: np.ndarray) -> tuple[float, np.ndarray]:
    """Of a polygon (N, 2) whose corners come in order (the shoelace formula)."""
    ahead = np.roll(corners, -1, axis=0)
    cross = corners[:, 0] * ahead[:, 1] - ahead[:, 0] * corners[:, 1]
    return abs(cross.sum()) / 2, ((corners + ahead) * cross[:, None]).sum(axis=0) / (3 * cross.sum())


def _motion(masks: np.ndarray) -> str:
    areas = masks.sum(axis=(1, 2))
    if areas[-2:].mean() > _GROWTH * areas[:2].mean():
        return "grow"
    track = np.array([np.argwhere(mask).mean(axis=0) for mask in masks])  # (T, 2): y, x
    down, right = track[-1] - track[0]
    up_and_down = np.abs(np.diff(track[:, 0])).sum()
    if np.ptp(track[:, 0]) > _LEAST_WAY and up_and_down > 2.2 * max(abs(down), abs(right)):
        return "bounce"
    if max(abs(down), abs(right)) < _LEAST_WAY:
        return "nothing"
    if abs(right) > abs(down):
        return "right" if right > 0 else "left"
    return "down" if down > 0 else "up"
