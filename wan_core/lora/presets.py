"""What to sample with where a LoRA, or a model's own weights, need few steps. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from wan_core.schema.request import SchedulerName

Of = Literal["lora", "model"]


@dataclass(frozen=True)
class FewStepPreset:
    """Settings that belong together.

    Attributes:
        title: what the weights are called.
        marks: texts of which one is in the names of their files, all in lower case.
        strength: of the LoRA.
        num_inference_steps, guidance_scale, shift, scheduler, sigmas: the request's fields of these names.
        of: what files it is for.
    """

    title: str
    marks: tuple[str, ...]
    strength: float
    num_inference_steps: int
    guidance_scale: float
    shift: float
    scheduler: SchedulerName
    sigmas: tuple[float, ...] | None = None
    of: tuple[Of, ...] = ("lora", "model")


def _flow_level(angle: float) -> float:
    """The noise level of an angle of TrigFlow, where x = cos(t) x0 + sin(t) noise."""
    return math.sin(angle) / (math.sin(angle) + math.cos(angle))


_RCM_LEVELS = tuple(_flow_level(angle) for angle in (math.atan(80), 1.5, 1.4, 1.0))
_CAUSVID_LEVELS = (0.999, 0.934, 0.862, 0.756, 0.603, 0.41, 0.25, 0.14, 0.074)
_FASTWAN_LEVELS = (1.0, 0.757, 0.522)

PRESETS: dict[str, FewStepPreset] = {
    # its four levels are those of LCM at shift 5: 1, 0.9375, 0.8333, 0.625
    "lightx2v": FewStepPreset(
        "lightx2v, 4 steps", ("lightx2v", "cfg_step_distill", "stepdistill"), 1.0, 4, 1.0, 5.0, "lcm"
    ),
    # trained on the same levels
    "self-forcing": FewStepPreset(
        "Self-Forcing, 4 steps", ("self_forcing", "self-forcing", "selfforcing"), 1.0, 4, 1.0, 5.0, "lcm"
    ),
    "rcm": FewStepPreset("rCM, 4 steps", ("rcm_", "rcm-"), 1.0, 4, 1.0, 5.0, "lcm", _RCM_LEVELS),
    "fastwan": FewStepPreset("FastWan, 3 steps", ("fastwan",), 1.0, 3, 1.0, 8.0, "lcm", _FASTWAN_LEVELS),
    # trained on the levels 1, 0.75, 0.5 and 0.25
    "causvid-1.3b": FewStepPreset(
        "CausVid 1.3B, 4 steps", ("causvid_bidirect", "causvid_1_3b"), 1.0, 4, 1.0, 1.0, "lcm"
    ),
    # at full strength it stiffens the motion
    "causvid": FewStepPreset("CausVid 14B, 12 steps", ("causvid",), 0.3, 12, 1.0, 7.0, "unipc", of=("lora",)),
    "causvid-14b": FewStepPreset(
        "CausVid 14B, 9 steps", ("causvid",), 1.0, 9, 1.0, 7.0, "euler", _CAUSVID_LEVELS, ("model",)
    ),
    "accvideo": FewStepPreset("AccVideo, 10 steps", ("accvid",), 1.0, 10, 1.0, 5.0, "unipc"),
}
"""The first whose mark is in a file's name is meant; the special ones come first."""


def preset_for(file: str, of: Of = "lora") -> str | None:
    """The key of the preset that a LoRA, or the weights of a model, of this name are meant for."""
    name = file.lower()
    fitting = ((key, row) for key, row in PRESETS.items() if of in row.of)
    return next((key for key, row in fitting if any(mark in name for mark in row.marks)), None)
