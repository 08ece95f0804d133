"""The denoising loop."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from wan_core.pipelines.components import device_of
from wan_core.pipelines.guidance import guided_velocity
from wan_core.pipelines.prompt_encoding import PromptEmbeds
from wan_core.schedulers import Scheduler
from wan_core.schema import GenerationFailed

OnStep = Callable[[int, Tensor], None]
"""Told after each step: how many are done, and the clip as the model expects it (1, C, F, H, W)."""


@torch.inference_mode()
def denoise(
    transformer: nn.Module,
    noise: Tensor,
    prompts: PromptEmbeds,
    scheduler: Scheduler,
    guidance_scale: float,
    on_step: OnStep,
) -> Tensor:
    """Noise (1, C, F, H, W) -> latents of the same shape, float32, on the transformer's device.

    The host waits for the device once a step, to look for NaN: it keeps progress true and lets
    ``on_step`` stop the loop by raising.

    Raises:
        GenerationFailed: a step produced NaN or infinity.
    """
    device = device_of(transformer)
    latents = noise.to(device)
    prompts = prompts.to(device)
    timesteps = torch.tensor(scheduler.timesteps, device=device)
    total = len(timesteps)
    for step in range(total):
        velocity = guided_velocity(transformer, latents, timesteps[step : step + 1], prompts, guidance_scale)
        expected = latents - scheduler.sigmas[step] * velocity
        latents = scheduler.step(velocity, latents)
        if not torch.isfinite(latents.sum()):
            raise GenerationFailed(
                f"Step {step + 1} of {total} produced numbers that are no picture (NaN); "
                "try precision fp32 or bf16, or a lower guidance scale."
            )
        on_step(step + 1, expected)
    return latents
