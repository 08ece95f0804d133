"""The conditioners by the name that the catalog gives: one row and one file for each."""

from __future__ import annotations

from wan_core.pipelines.conditioning.camera import camera_conditioner
from wan_core.pipelines.conditioning.fun_control import fun_control_conditioner
from wan_core.pipelines.conditioning.image import image_conditioner
from wan_core.pipelines.conditioning.motion import motion_conditioner
from wan_core.pipelines.conditioning.phantom import phantom_conditioner
from wan_core.pipelines.conditioning.recam import recam_conditioner
from wan_core.pipelines.conditioning.types import Conditioner, Conditioning, ConditioningJob
from wan_core.pipelines.conditioning.vace import vace_conditioner
from wan_core.pipelines.conditioning.video import video_conditioner


def text_conditioner(job: ConditioningJob) -> Conditioning:
    """Nothing besides the prompt."""
    return Conditioning()


CONDITIONERS: dict[str, Conditioner] = {
    "text": text_conditioner,
    "image": image_conditioner,
    "video": video_conditioner,
    "vace": vace_conditioner,
    "fun_control": fun_control_conditioner,
    "camera": camera_conditioner,
    "phantom": phantom_conditioner,
    "recam": recam_conditioner,
    "motion": motion_conditioner,
}


def build_conditioning(job: ConditioningJob) -> Conditioning:
    """What the request's media become for its model; see ``Conditioner`` for what it raises."""
    return CONDITIONERS[job.spec.inputs[job.request.task].conditioner](job)
