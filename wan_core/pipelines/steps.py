"""The steps of a run: their noise levels, and which of them are taken."""

from __future__ import annotations

import torch

from wan_core.schedulers import Scheduler, make_scheduler
from wan_core.schema import GenerationRequest


def plan_steps(request: GenerationRequest, generator: torch.Generator) -> Scheduler:
    """The schedule of a resolved request.

    A video's ``strength`` either lowers the noise that all steps begin from, or leaves out the first steps;
    at 0 none is left. Noise levels that a request names are taken as they are, so that strength leaves out
    the first of them. What ``start_step`` leaves out comes on top; one step always remains. A run that ends
    early goes from its last step straight to what is expected then.
    """
    strength = request.strength if request.task == "v2v" else 1.0
    steps, levels = request.num_inference_steps, request.sigmas or ()
    lowers = request.strength_mode == "sigma" and not levels and strength > 0
    start = strength if lowers else 1.0
    scheduler = make_scheduler(request.scheduler, steps, request.shift, generator, start, levels)
    if strength == 0:
        scheduler.skip(steps)
        return scheduler
    if request.end_step is not None and request.end_step < steps:
        scheduler.end(request.end_step)
    left_out = 0 if lowers else steps - max(round(steps * strength), 1)
    scheduler.skip(min(left_out + request.start_step, len(scheduler.timesteps) - 1))
    return scheduler
