"""MagCache: how the size of what the blocks add shrinks from step to step, known from an earlier run."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from wan_core.acceleration.step_cache import BlocksCache, Embedded, Pass, Window

_BEGINNING = 0.2  # of the steps
_MOST_SKIPPED = 4  # in a row
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Magnitudes:
    """Noise levels of a run, falling, and the ratio of sizes from the level before; the first is 1."""

    sigmas: tuple[float, ...]
    ratios: tuple[float, ...]

    @classmethod
    def read(cls, path: Path) -> Magnitudes | None:
        """What ``write`` has written; None where there is nothing of use."""
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            sigmas, ratios = (tuple(map(float, told[name])) for name in ("sigmas", "ratios"))
        except (OSError, ValueError, TypeError, KeyError):
            return None
        falls = all(after < before for before, after in pairwise(sigmas))
        fits = len(sigmas) == len(ratios) > 1 and all(0 < ratio < math.inf for ratio in ratios)
        return cls(sigmas, ratios) if fits and falls else None

    def write(self, path: Path) -> None:
        """For the runs to come.

        Raises:
            OSError: the disk refuses.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps({"sigmas": self.sigmas, "ratios": self.ratios}), encoding="utf-8")
        partial.replace(path)

    def ratio(self, before: float, after: float) -> float | None:
        """The ratio from one level to another; None where a level is beyond those measured.

        Between two levels measured, the logarithm of the size goes straight.
        """
        highest, lowest = self.sigmas[0] + _TOLERANCE, self.sigmas[-1] - _TOLERANCE
        if not lowest <= after <= before <= highest:
            return None
        sizes = np.cumsum(np.log(self.ratios))[::-1]
        start, end = np.interp([before, after], self.sigmas[::-1], sizes)
        return math.exp(end - start)


class MagCache(BlocksCache):
    """Skips while the sizes foresee little error: a = product of the ratios since the last computed step,
    error = sum of |1 - a|; a step is skipped with error <= threshold, at most four in a row.

    Without magnitudes every step is computed, and they are measured: the ratio of a step is the mean over
    the tokens of |added now| / |added in the step before|, each the length of a token's vector.
    """

    def __init__(self, threshold: float, sigmas: Sequence[float], known: Magnitudes | None) -> None:
        super().__init__(threshold, sigmas, max(round(_BEGINNING * (len(sigmas) - 1)), 1), 0)
        self._known = known
        self._ratios: dict[int, float] = {}

    @property
    def measured(self) -> Magnitudes | None:
        """What a run without magnitudes has found; None unless it was measured from end to end."""
        if self._known is not None or len(self._ratios) < self.total - 1:
            return None
        ratios = (1.0, *(self._ratios[step] for step in range(1, self.total)))
        return Magnitudes(tuple(self.sigmas[:-1]), ratios)

    def _drifts(self, window: Window, ready: Embedded, call: Pass, forced: bool) -> bool:
        measured = window.measured
        ratio = None
        if self._known is not None and not forced:
            ratio = self._known.ratio(self.sigmas[self._step - 1], self.sigmas[self._step])
        if ratio is not None:
            measured["product"] *= ratio
            measured["error"] += abs(1 - measured["product"])
            measured["skipped"] += 1
            if measured["error"] <= self.threshold and measured["skipped"] <= _MOST_SKIPPED:
                return False
        measured.update(product=1.0, error=0.0, skipped=0)
        return True

    def _compute(self, transformer: nn.Module, ready: Embedded, call: Pass) -> tuple[Tensor, Tensor]:
        velocity, added = super()._compute(transformer, ready, call)
        window = self._windows[call.window]
        leader = call.branches[0]
        before = window.kept.get(leader)
        is_measured = self._known is None and call.window == 0 and leader == window.leader
        if is_measured and before is not None and before.step == self._step - 1:
            sizes = call.leading(added).float().norm(dim=-1) / before.value.float().norm(dim=-1)
            self._ratios[self._step] = sizes.mean().item()
        return velocity, added
