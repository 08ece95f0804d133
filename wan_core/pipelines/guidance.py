"""Classifier-free guidance."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from wan_core.acceleration.step_cache import Branch, Pass, StepCache
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.pipelines.conditioning.types import Conditioning
from wan_core.pipelines.prompt_encoding import PromptEmbeds

UNCACHED = StepCache()


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
    cache: StepCache = UNCACHED,
) -> Tensor:
    """v_null + g (v_cond - v_null), float32 (spec 6); without a negative prompt there is no null pass.

    Where references are guided on their own, a third pass sees neither them nor the prompt, and
    v = v_bare + g_ref (v_null - v_bare) + g (v_cond - v_null) (Phantom).

    One pass after the other rather than a larger batch: the result is that of the official code, and
    the memory that of one.
    """

    def velocity(branch: Branch, prompt: Tensor, seen: DiTConditioning) -> Tensor:
        return cache.velocity(transformer, Pass(latents, timestep, prompt, seen, branch)).float()

    conditional = velocity("prompt", prompts.positive, conditioning.dit)
    if prompts.negative is None:
        return conditional
    seen = conditioning.dit if conditioning.null is None else conditioning.null
    null = velocity("null", prompts.negative, seen)
    guided = null + guidance.scale * (conditional - null)
    if conditioning.bare is None:
        return guided
    bare = velocity("bare", prompts.negative, conditioning.bare)
    return guided + (guidance.reference_scale - 1) * (null - bare)
