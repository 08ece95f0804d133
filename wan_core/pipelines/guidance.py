"""Classifier-free guidance."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from wan_core.pipelines.conditioning.types import Conditioning
from wan_core.pipelines.prompt_encoding import PromptEmbeds


@dataclass(frozen=True)
class Guidance:
    """``scale`` of the prompt, and of the references where they have one of their own (Phantom: 5)."""

    scale: float
    reference_scale: float = 5.0


def guided_velocity(
    transformer: nn.Module,
    latents: Tensor,
    timestep: Tensor,
    prompts: PromptEmbeds,
    conditioning: Conditioning,
    guidance: Guidance,
) -> Tensor:
    """v_null + g (v_cond - v_null), float32 (spec 6); without a negative prompt there is no null pass.

    Where references are guided on their own, a third pass sees neither them nor the prompt, and
    v = v_bare + g_ref (v_null - v_bare) + g (v_cond - v_null) (Phantom).

    One pass after the other rather than a larger batch: the result is that of the official code, and
    the memory that of one.
    """
    conditional = transformer(latents, timestep, prompts.positive, conditioning.dit).float()
    if prompts.negative is None:
        return conditional
    seen = conditioning.dit if conditioning.null is None else conditioning.null
    null = transformer(latents, timestep, prompts.negative, seen).float()
    guided = null + guidance.scale * (conditional - null)
    if conditioning.bare is None:
        return guided
    bare = transformer(latents, timestep, prompts.negative, conditioning.bare).float()
    return guided + (guidance.reference_scale - 1) * (null - bare)
