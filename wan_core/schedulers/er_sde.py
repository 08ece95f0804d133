"""ER-SDE: a stochastic sampler of third order, which takes less of its noise anew in later steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from wan_core.schedulers.base import Scheduler

if TYPE_CHECKING:
    from torch import Tensor

_POINTS = 200  # of the integrals


def _rho(sigma: float) -> float:
    return math.inf if sigma >= 1 else sigma / (1 - sigma)


def _growth(rho: float | np.ndarray) -> float | np.ndarray:
    """f(rho) / rho, where f says how much noise is kept: f = rho (exp(rho^0.3) + 10)."""
    with np.errstate(over="ignore"):
        return np.exp(np.power(rho, 0.3)) + 10.0


class ERSDE(Scheduler):
    """ER-SDE-Solver-3, with the authors' noise scale.

    With rho = sigma / (1 - sigma), a step keeps the part f(target) / f(now) of x and draws the noise that
    is missing then. From the second step on it follows the slope of x0 in rho, from the third its curve.
    """

    def _advance(self, index: int, velocity: Tensor, latents: Tensor) -> Tensor:
        now, target = self.sigmas[index : index + 2]
        x0, before, steeper = latents - now * velocity, self._kept.get("x0"), self._kept.get("slope")
        self._kept["x0"] = x0
        if target == 0:
            return x0
        rhos = [_rho(sigma) for sigma in self.sigmas[max(index - 2, 0) : index + 2]]
        kept = float(_growth(rhos[-1]) / _growth(rhos[-2]))  # of the noise of x
        part = kept * rhos[-1] / rhos[-2]
        moved = latents * (kept * target / now) + x0 * ((1 - target) * (1 - part))
        if before is not None and math.isfinite(rhos[-3]):
            moved = moved + (1 - target) * self._bend(x0, before, steeper, rhos)
        drawn = target * math.sqrt(max(1 - kept**2, 0.0))
        return moved + drawn * self._fresh_noise(latents)

    def _bend(self, x0: Tensor, before: Tensor, steeper: Tensor | None, rhos: list[float]) -> Tensor:
        """What the change of x0 during the step adds, for a picture at full weight."""
        older, now, target = rhos[-3:]
        step, width = target - now, (now - target) / _POINTS
        points = target + width * (np.arange(_POINTS) + 0.5)
        inverse = float(_growth(target)) * target / (points * _growth(points))  # f(target) / f
        self._kept["slope"] = slope = (x0 - before) / (now - older)
        bend = slope * (step + float(inverse.sum()) * width)
        if steeper is None:
            return bend
        curve = (slope - steeper) / ((now - rhos[-4]) / 2)
        return bend + curve * (step**2 / 2 + float(((points - now) * inverse).sum()) * width)
