"""DEIS: the noise as a polynomial of ln(rho), integrated exactly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from wan_core.schedulers.base import Scheduler
from wan_core.schedulers.dpmpp import step_order
from wan_core.schedulers.unipc import FIRST_SIGMA

if TYPE_CHECKING:
    from torch import Tensor


def _line_integral(start: float, end: float, zero: float, one: float) -> float:
    """Integral from ``start`` to ``end`` of the line in ln(rho) that is 0 at ``zero`` and 1 at ``one``."""

    def primitive(rho: float) -> float:
        return rho * (math.log(rho) - math.log(zero) - 1)

    return (primitive(end) - primitive(start)) / (math.log(one) - math.log(zero))


class DEIS(Scheduler):
    """Second order: with rho = sigma / (1 - sigma), x / (1 - sigma) changes by the integral of the noise.

    The noise is a line in ln(rho) through its last two values. The first step and the last have one value;
    so has the second of a run that begins at sigma 1, where rho is infinite.
    """

    first_sigma = FIRST_SIGMA

    def _advance(self, index: int, velocity: Tensor, latents: Tensor) -> Tensor:
        now, target = self.sigmas[index : index + 2]
        noise, before = latents + (1 - now) * velocity, self._kept.get("noise")
        self._kept["noise"] = noise
        order = step_order(index, len(self.timesteps))
        if order == 1 or self.sigmas[index - 1] >= 1:
            return latents + (target - now) * velocity
        rhos = [sigma / (1 - sigma) for sigma in (self.sigmas[index - 1], now, target)]
        newest = _line_integral(rhos[1], rhos[2], zero=rhos[0], one=rhos[1])
        older = _line_integral(rhos[1], rhos[2], zero=rhos[1], one=rhos[0])
        return (1 - target) * (latents / (1 - now) + newest * noise + older * before)
