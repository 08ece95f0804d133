"""What to sample with when a LoRA makes a model need few steps. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from wan_core.schema.request import SchedulerName


@dataclass(frozen=True)
class FewStepPreset:
    """Settings that belong together.

    Attributes:
        title: what the LoRA is called.
        marks: texts of which one is in the names of its files, all in lower case.
        strength: of the LoRA.
        num_inference_steps, guidance_scale, shift, scheduler: the request's fields of these names.
    """

    title: str
    marks: tuple[str, ...]
    strength: float
    num_inference_steps: int
    guidance_scale: float
    shift: float
    scheduler: SchedulerName


PRESETS: dict[str, FewStepPreset] = {
    # its four levels are those of LCM at shift 5: 1, 0.9375, 0.8333, 0.625
    "lightx2v": FewStepPreset(
        "lightx2v, 4 steps", ("lightx2v", "cfg_step_distill", "stepdistill"), 1.0, 4, 1.0, 5.0, "lcm"
    ),
    # trained on the levels 1, 0.75, 0.5 and 0.25
    "causvid-1.3b": FewStepPreset(
        "CausVid 1.3B, 4 steps", ("causvid_bidirect", "causvid_1_3b"), 1.0, 4, 1.0, 1.0, "lcm"
    ),
    # at full strength it stiffens the motion
    "causvid": FewStepPreset("CausVid 14B, 12 steps", ("causvid",), 0.3, 12, 1.0, 7.0, "unipc"),
    "accvideo": FewStepPreset("AccVideo, 10 steps", ("accvid",), 1.0, 10, 1.0, 5.0, "unipc"),
}
"""The first whose mark is in a file's name is meant; the special ones come first."""


def preset_for(file: str) -> str | None:
    """The key of the preset that a LoRA of this name is meant for."""
    name = file.lower()
    return next((key for key, row in PRESETS.items() if any(mark in name for mark in row.marks)), None)
