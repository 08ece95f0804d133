"""Consistency sampling, for distilled weights and few steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wan_core.schedulers.base import Scheduler, shifted_sigmas

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class LCM(Scheduler):
    """Each step jumps to the predicted clean latents and adds fresh noise for the next level.

    Args:
        num_inference_steps: model calls, at least 1.
        shift: where the steps are spent.
        generator: draws the noise, on its own device; None uses the global one of the latents' device.
    """

    def __init__(
        self, num_inference_steps: int, shift: float, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(shifted_sigmas(1.0, num_inference_steps, shift), generator)

    def _advance(self, index: int, velocity: Tensor, latents: Tensor) -> Tensor:
        x0 = latents - self.sigmas[index] * velocity
        target = self.sigmas[index + 1]
        if target == 0:
            return x0
        device = latents.device if self._generator is None else self._generator.device
        noise = latents.new_empty(latents.shape, device=device).normal_(generator=self._generator)
        return (1 - target) * x0 + target * noise.to(latents.device)
