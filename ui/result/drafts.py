"""Drafts: several seeds at few steps, of which one is picked and rendered again with all of them.

The size stays: the same seed at another size is another video.
"""

from __future__ import annotations

from wan_core.catalog import find_model, is_known
from wan_core.jobs.job import Job, JobStatus
from wan_core.lora.presets import PRESETS, preset_for
from wan_core.schema import GenerationRequest


def full_steps(request: GenerationRequest) -> int | None:
    """The steps that a request deserves: its model's own, or those that a few-step LoRA is made for.

    None where the model is gone.
    """
    if not is_known(request.model):
        return None
    keys = [key for use in request.loras if (key := preset_for(use.file))]
    if keys:
        return max(PRESETS[key].num_inference_steps for key in keys)
    return find_model(request.model).defaults.num_inference_steps


def final_of(job: Job) -> GenerationRequest | None:
    """The request that renders a finished draft with all steps; None for what is none.

    A run that was ended early is one, too; noise levels that somebody has chosen make none.
    """
    request = job.request
    steps = full_steps(request)
    if job.status is not JobStatus.DONE or steps is None or request.sigmas:
        return None
    planned = request.num_inference_steps or steps
    if min(request.end_step or planned, planned) >= steps:
        return None
    seed = job.result.request.seed if job.result else request.seed
    changes = {"num_inference_steps": max(planned, steps), "end_step": None, "seed": seed}
    return request.model_copy(update=changes)
