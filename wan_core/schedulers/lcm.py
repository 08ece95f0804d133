"""Consistency sampling, for distilled weights and few steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wan_core.schedulers.base import Scheduler

if TYPE_CHECKING:
    from torch import Tensor


class LCM(Scheduler):
    """Each step jumps to the predicted clean latents and adds fresh noise for the next level."""

    def _advance(self, index: int, velocity: Tensor, latents: Tensor) -> Tensor:
        x0 = latents - self.sigmas[index] * velocity
        target = self.sigmas[index + 1]
        if target == 0:
            return x0
        return (1 - target) * x0 + target * self._fresh_noise(latents)
