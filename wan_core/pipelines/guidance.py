"""Classifier-free guidance."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wan_core.acceleration.step_cache import Pass
from wan_core.pipelines.conditioning.types import Conditioning
from wan_core.pipelines.passes import PassRunner
from wan_core.pipelines.prompt_encoding import PromptEmbeds


@dataclass(frozen=True)
class Guidance:
    """``scale`` of the prompt, and of the references where they have one of their own (Phantom: 5)."""

    scale: float
    reference_scale: float = 5.0


def guided_velocity(
    runner: PassRunner,
    latents: Tensor,
    timestep: Tensor,
    prompts: PromptEmbeds,
    conditioning: Conditioning,
    guidance: Guidance,
) -> Tensor:
    """v_null + g (v_cond - v_null), float32 (spec 6); without a negative prompt there is no null pass.

    Where references are guided on their own, a third pass sees neither them nor the prompt, and
    v = v_bare + g_ref (v_null - v_bare) + g (v_cond - v_null) (Phantom).
    """
    passes = [Pass(latents, timestep, prompts.positive, conditioning.dit, ("prompt",))]
    if prompts.negative is not None:
        seen = conditioning.dit if conditioning.null is None else conditioning.null
        passes.append(Pass(latents, timestep, prompts.negative, seen, ("null",)))
        if conditioning.bare is not None:
            passes.append(Pass(latents, timestep, prompts.negative, conditioning.bare, ("bare",)))
    conditional, *others = runner.velocities(passes)
    if not others:
        return conditional
    null, *bare = others
    guided = null + guidance.scale * (conditional - null)
    for unseen in bare:
        guided = guided + (guidance.reference_scale - 1) * (null - unseen)
    return guided
