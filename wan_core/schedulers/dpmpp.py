"""DPM-Solver++, second order, midpoint (spec 6)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from wan_core.schedulers.base import Scheduler, log_snr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def multistep(latents: Tensor, x0s: Sequence[Tensor], sigmas: Sequence[float]) -> Tensor:
    """One exponential-integrator step from the last predictions of the clean latents.

    Args:
        latents: at the level ``sigmas[-2]``.
        x0s: predictions, the newest last and made at ``sigmas[-2]``; their number (1 or 2) is the order.
        sigmas: the level of each prediction, then the level to reach.

    Returns:
        The latents at ``sigmas[-1]``.
    """
    *_, now, target = sigmas
    span = log_snr(target) - log_snr(now)
    weight = -(1 - target) * math.expm1(-span)
    moved = latents * (target / now) + x0s[-1] * weight
    if len(x0s) == 2:
        ratio = (log_snr(now) - log_snr(sigmas[0])) / span  # infinite when the run began at sigma 1
        moved = moved + (x0s[1] - x0s[0]) * (0.5 * weight / ratio)
    return moved


def step_order(index: int, num_inference_steps: int) -> int:
    """Order of a step: 1 for the first and the last, else 2."""
    return min(2, index + 1, num_inference_steps - index)


class DPMPlusPlus(Scheduler):
    """DPM-Solver++(2M); its first timestep is 1000."""

    def _advance(self, index: int, velocity: Tensor, latents: Tensor) -> Tensor:
        x0 = latents - self.sigmas[index] * velocity
        x0s = (self._kept.get("x0"), x0)
        self._kept["x0"] = x0
        order = step_order(index, len(self.timesteps))
        return multistep(latents, x0s[-order:], self.sigmas[index + 1 - order : index + 2])
