"""What the steps of a request may be asked for: noise levels, parts of the run, layers. Imports no torch."""

from __future__ import annotations

from itertools import pairwise

from wan_core.catalog.spec import ModelSpec
from wan_core.schema import GenerationRequest, InvalidRequest

_PARTS = (
    ("guidance", "guidance_start", "guidance_end"),
    ("skip_blocks", "skip_start", "skip_end"),
    ("enhance_video", "enhance_start", "enhance_end"),
)
"""What is done in a part of the steps, and the fields that say which."""


def check_guidance(request: GenerationRequest, spec: ModelSpec) -> None:
    """Check noise levels, parts of the run, and methods of guidance against the model.

    Raises:
        InvalidRequest: naming the field, its value, and what works.
    """
    _check_levels(request)
    _check_steps(request, steps_of(request, spec))
    for what, start, end in _PARTS:
        first, last = getattr(request, start), getattr(request, end)
        if last <= first and getattr(request, what, True):
            raise InvalidRequest(end, f"{last:g} is not after the beginning at {first:g}", "Try 1.")
    if request.guidance_scales and request.guidance_scale_end is not None:
        raise InvalidRequest(
            "guidance_scale_end",
            "the guidance of each step is given already",
            "Leave one of the two out.",
        )
    for number in request.skip_blocks:
        if number >= spec.dit.num_layers:
            raise InvalidRequest(
                "skip_blocks",
                f"{spec.title} has no block {number}",
                f"Its blocks are 0 to {spec.dit.num_layers - 1}.",
            )
    waves = spec.dit.time_waves
    if request.riflex > waves:
        raise InvalidRequest(
            "riflex", f"{spec.title} has no wave {request.riflex} over time", f"Its waves are 1 to {waves}."
        )


def steps_of(request: GenerationRequest, spec: ModelSpec) -> int:
    """Steps of a request's schedule, before any are left out."""
    if request.sigmas:
        return len(request.sigmas)
    return request.num_inference_steps or spec.defaults.num_inference_steps


def _check_levels(request: GenerationRequest) -> None:
    for before, after in pairwise(request.sigmas or ()):
        if after >= before:
            raise InvalidRequest(
                "sigmas",
                f"{after:g} is not below the level before, {before:g}",
                "Let them fall from step to step.",
            )


def _check_steps(request: GenerationRequest, steps: int) -> None:
    last = min(request.end_step or steps, steps)
    if request.start_step and request.task != "v2v":
        raise InvalidRequest(
            "start_step",
            "only a video that is changed can be begun later",
            "Use video to video, or set it to 0.",
        )
    if request.start_step >= last:
        raise InvalidRequest(
            "start_step", f"{request.start_step} leaves none of {last} steps", f"Try {last // 2}."
        )
    if request.zero_init_steps >= last:
        raise InvalidRequest(
            "zero_init_steps", f"{request.zero_init_steps} leaves none of {last} steps", "Try 1."
        )
