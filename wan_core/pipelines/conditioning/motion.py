"""Speed control: how much moves, told to a text-to-video model by a small one beside it (diffsynth 2)."""

from __future__ import annotations

import torch

from wan_core.catalog import Role
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.pipelines.components import device_of
from wan_core.pipelines.conditioning.types import Conditioning, ConditioningJob


@torch.inference_mode()
def motion_conditioner(job: ConditioningJob) -> Conditioning:
    """The request's ``motion_bucket``; both passes read it. Without one the model is left as it is."""
    bucket = job.request.motion_bucket
    if bucket is None:
        return Conditioning()
    with job.source.use(job.spec, Role.MOTION_CONTROLLER, job.emit) as controller:
        motion = controller(torch.tensor([bucket], device=device_of(controller))).cpu()
    return Conditioning(DiTConditioning(motion=motion))
