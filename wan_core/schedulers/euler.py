"""Euler's method along the flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wan_core.schedulers.base import Scheduler, shifted_sigmas

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Euler(Scheduler):
    """First order: the velocity is followed in a straight line to the next noise level.

    Args:
        num_inference_steps: model calls, at least 1.
        shift: where the steps are spent.
        generator: not drawn from; here since all samplers are made alike.
    """

    def __init__(
        self, num_inference_steps: int, shift: float, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(shifted_sigmas(1.0, num_inference_steps, shift), generator)

    def _advance(self, index: int, velocity: Tensor, latents: Tensor) -> Tensor:
        return latents + (self.sigmas[index + 1] - self.sigmas[index]) * velocity
