"""What a request may call a step cache, and the room that one takes. Imports no torch."""

from __future__ import annotations

from typing import Literal

Level = Literal["conservative", "fast"]

LEVELS: dict[str, tuple[str, Level]] = {
    "conservative": ("easycache", "conservative"),
    "fast": ("easycache", "fast"),
}
"""A level means a method that needs no knowledge of the model, and how far it goes."""

FEW_STEPS = 12
"""Runs of so few steps skip none: each of theirs does what several do elsewhere."""

_FLOAT32 = 4

_PARTS = {"off": 1.0, "conservative": 0.5, "fast": 0.4}
_ANY_PART = 0.6
"""Part of the steps that are computed, as on the demo model (docs/performance.md)."""


def expected_part(asked: str, threshold: float | None, steps: int) -> float:
    """About what part of so many steps will be computed, to say beforehand how long a video takes."""
    if steps <= FEW_STEPS or threshold == 0:
        return 1.0
    return _PARTS.get(asked, _ANY_PART)


def kept_bytes(asked: str, numbers: int, passes: int, itemsize: int) -> int:
    """Device memory that a cache holds between passes.

    Args:
        asked: as in ``GenerationRequest.step_cache``.
        numbers: tokens of a pass times the width of the model.
        passes: how many a step has.
        itemsize: bytes of a number in the computing precision.
    """
    method, _ = LEVELS.get(asked, (asked, "conservative"))
    if method in ("off", "easycache"):
        return 0
    measured = 2 * _FLOAT32 * numbers if method == "first-block" else 0
    return passes * numbers * itemsize + measured
