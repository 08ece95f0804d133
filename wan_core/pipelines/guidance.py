"""Classifier-free guidance, step by step."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from wan_core.acceleration.step_cache import Branch, Pass
from wan_core.guidance.method import Moment
from wan_core.guidance.table import methods_of
from wan_core.models.dit.adjusting import PLAIN, Adjustments
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.pipelines.conditioning.types import Conditioning
from wan_core.pipelines.passes import PassRunner
from wan_core.pipelines.prompt_encoding import PromptEmbeds
from wan_core.schema.guidance import GuidanceOptions, within

_BRANCHES: tuple[Branch, ...] = ("prompt", "null", "bare", "weak")


@dataclass(frozen=True)
class Guidance:
    """The guidance of a run, at one of its steps.

    Attributes:
        base_scale: of the prompt, where the options say nothing else.
        reference_scale: of the references, where they have a guidance of their own (Phantom: 5).
        options: the course of the scale, and methods.
        step, total: the step, counted from 0, and how many there are.
    """

    base_scale: float
    reference_scale: float = 5.0
    options: GuidanceOptions = field(default_factory=GuidanceOptions)
    step: int = 0
    total: int = 1

    def at(self, step: int, total: int) -> Guidance:
        """The same at another step."""
        return dataclasses.replace(self, step=step, total=total)

    @property
    def scale(self) -> float:
        """Of the prompt in this step."""
        return self.options.scale_at(self.step, self.total, self.base_scale)

    @property
    def holds_still(self) -> bool:
        """Whether nothing is to change in this step."""
        return self.step < self.options.zero_init_steps

    @property
    def weak_scale(self) -> float:
        """How far the result is led away from a third pass; 0 where there is none."""
        options = self.options
        is_there = options.third_pass and within(
            (options.skip_start, options.skip_end), self.step, self.total
        )
        return options.skip_scale if is_there else 0.0

    def moment(self, negative: Tensor | None = None) -> Moment:
        return Moment(self.options, self.step, self.total, negative)

    def adjustments(self, negative: Tensor | None) -> dict[Branch, Adjustments]:
        """What each pass does differently from a plain one."""
        methods, moment = methods_of(self.options), self.moment(negative)
        if not methods:
            return dict.fromkeys(_BRANCHES, PLAIN)
        return {branch: Adjustments(**_joined(methods, moment, branch)) for branch in _BRANCHES}


def _joined(methods: tuple[Any, ...], moment: Moment, branch: Branch) -> dict[str, Any]:
    return reduce(dict.__or__, (method.adjust(moment, branch) for method in methods), {})


def guided_velocity(
    runner: PassRunner,
    latents: Tensor,
    timestep: Tensor,
    prompts: PromptEmbeds,
    conditioning: Conditioning,
    guidance: Guidance,
) -> Tensor:
    """v_null + g (v_cond - v_null), float32 (spec 6); without a negative prompt or at g = 1 there is no null
    pass.

    Where references are guided on their own, a third pass sees neither them nor the prompt, and
    v = v_bare + g_ref (v_null - v_bare) + g (v_cond - v_null) (Phantom). With skipped layers in a pass of
    their own, g_skip (v_cond - v_weak) is added.
    """
    if guidance.holds_still:
        return torch.zeros_like(latents)
    adjusted = guidance.adjustments(prompts.negative)
    seen = _seen(conditioning, adjusted)
    weak_scale = guidance.weak_scale
    asked: list[tuple[Branch, Tensor]] = [("prompt", prompts.positive)]
    if prompts.negative is not None and (guidance.scale != 1 or conditioning.bare is not None):
        asked.append(("null", prompts.negative))
        if conditioning.bare is not None:
            asked.append(("bare", prompts.negative))
    if weak_scale:
        asked.append(("weak", prompts.positive))
    passes = [Pass(latents, timestep, prompt, seen[branch], (branch,)) for branch, prompt in asked]
    found = dict(zip((branch for branch, _ in asked), runner.velocities(passes), strict=True))
    guided = combined(found, guidance)
    return guided + weak_scale * (found["prompt"] - found["weak"]) if weak_scale else guided


def combined(found: dict[Branch, Tensor], guidance: Guidance) -> Tensor:
    """What the passes with the prompt, without it and without references say together."""
    conditional = found["prompt"]
    if "null" not in found:
        return conditional
    methods, moment = methods_of(guidance.options), guidance.moment()
    null = reduce(lambda value, method: method.fit(moment, conditional, value), methods, found["null"])
    difference = reduce(lambda value, method: method.shape(moment, value), methods, conditional - null)
    guided = null + guidance.scale * difference
    if "bare" in found:
        guided = guided + (guidance.reference_scale - 1) * (found["null"] - found["bare"])
    return guided


def _seen(conditioning: Conditioning, adjusted: dict[Branch, Adjustments]) -> dict[Branch, DiTConditioning]:
    """What each pass reads; passes that read the same share it, as they may then run as one batch."""
    given = {
        "prompt": conditioning.dit,
        "null": conditioning.dit if conditioning.null is None else conditioning.null,
        "bare": conditioning.bare,
        "weak": conditioning.dit,
    }
    shared: dict[tuple[int, Adjustments], DiTConditioning] = {}
    seen: dict[Branch, DiTConditioning] = {}
    for branch, plain in given.items():
        adjustments = adjusted[branch]
        if plain is None or adjustments == PLAIN:
            seen[branch] = plain
            continue
        key = id(plain), adjustments
        shared.setdefault(key, dataclasses.replace(plain, adjustments=adjustments))
        seen[branch] = shared[key]
    return seen
