"""RES: an exponential multistep integrator of second order in -ln(sigma)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from wan_core.schedulers.base import Scheduler

if TYPE_CHECKING:
    from torch import Tensor


class RESMultistep(Scheduler):
    """x' = (x - x0) / sigma, solved with x0 a straight line in -ln(sigma) through its last two values.

    The first step has one value and the last goes to 0: both take it as constant, which is Euler's.
    """

    def _advance(self, index: int, velocity: Tensor, latents: Tensor) -> Tensor:
        now, target = self.sigmas[index : index + 2]
        x0, before = latents - now * velocity, self._kept.get("x0")
        self._kept["x0"] = x0
        if target == 0:
            return x0
        span = math.log(now / target)
        phi1 = -math.expm1(-span) / span
        moved = latents * (target / now) + x0 * (span * phi1)
        if before is None:
            return moved
        slope = (x0 - before) / math.log(self.sigmas[index - 1] / now)
        return moved + slope * (span * (1 - phi1))
