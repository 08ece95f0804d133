"""Skeletons of people in the colours of OpenPose, which control models were trained on."""

# H W pixels

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

Joints = tuple[np.ndarray, np.ndarray]
"""Positions (17, 2), x and y in pixels, and scores (17,) of a person's joints, in the order of COCO."""

VISIBLE = 0.3
"""Score from which a joint is drawn."""

# The 18 joints of OpenPose as those of COCO; the neck, its second, lies between the shoulders.
_NOSE, _LEFT_SHOULDER, _RIGHT_SHOULDER = 0, 5, 6
_FROM_COCO = (_NOSE, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)

# Pairs of OpenPose joints, in the order of their colours: shoulders, arms, hips and legs, head
_LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip

_HUES = 18
_LIMB_BRIGHTNESS = 0.6
_THICKNESS = 60  # a limb is this part of the shorter side wide


def draw_skeletons(people: Sequence[Joints], height: int, width: int) -> np.ndarray:
    """(H, W, 3), uint8: every joint and limb that is seen, on black."""
    picture = Image.new("RGB", (width, height))
    brush = ImageDraw.Draw(picture)
    thickness = max(round(min(height, width) / _THICKNESS), 1)
    bodies = [_openpose(positions, scores) for positions, scores in people]
    for places in bodies:
        for index, (start, end) in enumerate(_LIMBS):
            if places[start] and places[end]:
                brush.line((*places[start], *places[end]), _colour(index, _LIMB_BRIGHTNESS), thickness)
    for places in bodies:
        for index, place in enumerate(places):
            if place:
                brush.circle(place, thickness / 2, _colour(index, 1.0))
    return np.asarray(picture)


def _openpose(positions: np.ndarray, scores: np.ndarray) -> list[tuple[float, float] | None]:
    """The places of the 18 joints; None of those that are not seen."""

    def place(joint: int) -> tuple[float, float] | None:
        if scores[joint] < VISIBLE:
            return None
        return float(positions[joint, 0]), float(positions[joint, 1])

    left, right = place(_LEFT_SHOULDER), place(_RIGHT_SHOULDER)
    neck = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2) if left and right else None
    return [neck if joint is None else place(joint) for joint in _FROM_COCO]


def _colour(index: int, brightness: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(index / _HUES, 1.0, brightness)
    return round(red * 255), round(green * 255), round(blue * 255)
