"""The step caches that a request may ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wan_core.acceleration.easycache import EasyCache
from wan_core.acceleration.first_block import FirstBlockCache
from wan_core.acceleration.levels import FEW_STEPS, LEVELS, Level
from wan_core.acceleration.magcache import MagCache, Magnitudes
from wan_core.acceleration.step_cache import StepCache
from wan_core.acceleration.teacache import TeaCache


@dataclass(frozen=True)
class Run:
    """What a cache is made for.

    Attributes:
        sigmas: noise levels, N+1 values.
        family: of the model, one of ``teacache.FAMILIES``, or empty for any other.
        magnitudes: what ``MagCache`` has measured of the model, if it has.
    """

    sigmas: Sequence[float]
    family: str = ""
    magnitudes: Magnitudes | None = None


@dataclass(frozen=True)
class Row:
    """A method: how it is made, and its thresholds, (conservative, fast); by family where they differ."""

    make: Callable[[float, Run], StepCache]
    thresholds: tuple[float, float]
    of_family: dict[str, tuple[float, float]]

    def threshold(self, level: Level, family: str) -> float:
        """Of the method where a request names none."""
        conservative, fast = self.of_family.get(family, self.thresholds)
        return fast if level == "fast" else conservative


CACHES: dict[str, Row] = {
    "teacache": Row(
        lambda threshold, run: TeaCache(threshold, run.sigmas, run.family, retention=False),
        (0.15, 0.3),
        {
            "t2v-1.3b": (0.05, 0.08),
            "t2v-14b": (0.14, 0.20),
            "i2v-14b-480p": (0.13, 0.26),
            "i2v-14b-720p": (0.18, 0.30),
        },
    ),
    "teacache-retention": Row(
        lambda threshold, run: TeaCache(threshold, run.sigmas, run.family, retention=True),
        (0.03, 0.06),
        {
            "t2v-1.3b": (0.05, 0.10),
            "t2v-14b": (0.10, 0.20),
            "i2v-14b-480p": (0.20, 0.30),
            "i2v-14b-720p": (0.20, 0.30),
        },
    ),
    "easycache": Row(lambda threshold, run: EasyCache(threshold, run.sigmas), (0.025, 0.05), {}),
    "magcache": Row(lambda threshold, run: MagCache(threshold, run.sigmas, run.magnitudes), (0.02, 0.06), {}),
    "first-block": Row(lambda threshold, run: FirstBlockCache(threshold, run.sigmas), (0.05, 0.1), {}),
}
"""Thresholds of a family are those published for it."""


def make_step_cache(asked: str, threshold: float | None, run: Run) -> StepCache:
    """The cache of one run.

    Args:
        asked: "off", one of ``LEVELS``, or one of ``CACHES``.
        threshold: the method's own where it is None.
        run: what it is for.
    """
    if asked == "off" or len(run.sigmas) - 1 <= FEW_STEPS:
        return StepCache()
    method, level = LEVELS.get(asked, (asked, "conservative"))
    row = CACHES[method]
    return row.make(row.threshold(level, run.family) if threshold is None else threshold, run)
