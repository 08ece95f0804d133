"""What is seen in a clip of the demo world, by classical means: colours, outlines and tracks.

Knows the palette of the world but none of the code that draws it, and no neural network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
_STAR_SOLIDITY = 0.76  # area against that of the convex hull; every other shape fills its hull
_TRIANGLE_EXTENT, _CIRCLE_EXTENT = 0.66, 0.89  # area against that of the bounding box
_GROWTH = 2.2  # area at the end against the beginning
_LEAST_WAY = 8.0  # pixels; below it nothing has moved
_LONGEST_LEAP = 11.0  # pixels from frame to frame; the fastest hop takes 9


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
    solidity = float(np.median([mask.sum() / _hull_area(mask) for mask in masks]))
    extent = float(np.median([_extent(mask) for mask in masks]))
    if solidity < _STAR_SOLIDITY:
        return "star"
    if extent < _TRIANGLE_EXTENT:
        return "triangle"
    return "circle" if extent < _CIRCLE_EXTENT else "square"


def _extent(mask: np.ndarray) -> float:
    y, x = np.nonzero(mask)
    return len(y) / ((np.ptp(y) + 1) * (np.ptp(x) + 1))


def _hull_area(mask: np.ndarray) -> float:
    """Area of the convex hull of the pixels' corners (monotone chain)."""
    y, x = np.nonzero(mask)
    points = sorted(
        {(int(a) + i, int(b) + j) for a, b in zip(x, y, strict=True) for i in (0, 1) for j in (0, 1)}
    )

    def chain(ordered: list[tuple[int, int]]) -> list[tuple[int, int]]:
        kept: list[tuple[int, int]] = []
        for p in ordered:
            while len(kept) > 1 and _turn(kept[-2], kept[-1], p) <= 0:
                kept.pop()
            kept.append(p)
        return kept[:-1]

    hull = np.array(chain(points) + chain(points[::-1]), dtype=float)
    ahead = np.roll(hull, -1, axis=0)
    return abs(float((hull[:, 0] * ahead[:, 1] - ahead[:, 0] * hull[:, 1]).sum())) / 2


def _turn(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> int:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


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
