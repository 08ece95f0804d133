"""Euler's method along the flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wan_core.schedulers.base import Scheduler

if TYPE_CHECKING:
    from torch import Tensor


class Euler(Scheduler):
    """First order: the velocity is followed in a straight line to the next noise level."""

    def _advance(self, index: int, velocity: Tensor, latents: Tensor) -> Tensor:
        return latents + (self.sigmas[index + 1] - self.sigmas[index]) * velocity
