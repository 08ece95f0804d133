"""Classifier-free guidance."""

from __future__ import annotations

from torch import Tensor, nn

from wan_core.pipelines.prompt_encoding import PromptEmbeds


def guided_velocity(
    transformer: nn.Module, latents: Tensor, timestep: Tensor, prompts: PromptEmbeds, guidance_scale: float
) -> Tensor:
    """v_null + g (v_cond - v_null), float32 (spec 6); g = 1 runs no null pass.

    Two passes rather than one of twice the batch: the result is that of the official code, and the
    memory that of one.
    """
    conditional = transformer(latents, timestep, prompts.positive).float()
    if prompts.negative is None:
        return conditional
    null = transformer(latents, timestep, prompts.negative).float()
    return null + guidance_scale * (conditional - null)
