"""Samplers by the name that a request gives. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wan_core.schedulers.base import Scheduler
from wan_core.schedulers.deis import DEIS
from wan_core.schedulers.dpmpp import DPMPlusPlus
from wan_core.schedulers.er_sde import ERSDE
from wan_core.schedulers.euler import Euler
from wan_core.schedulers.lcm import LCM
from wan_core.schedulers.res import RESMultistep
from wan_core.schedulers.unipc import UniPC
from wan_core.schema.request import SchedulerName

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

SCHEDULERS: dict[SchedulerName, type[Scheduler]] = {
    "unipc": UniPC,
    "dpm++": DPMPlusPlus,
    "euler": Euler,
    "lcm": LCM,
    "res_multistep": RESMultistep,
    "deis": DEIS,
    "er_sde": ERSDE,
}


def make_scheduler(
    name: SchedulerName,
    num_inference_steps: int,
    shift: float,
    generator: torch.Generator | None = None,
    strength: float = 1.0,
    levels: Sequence[float] = (),
) -> Scheduler:
    """A fresh run of a sampler.

    Args:
        name: a key of ``SCHEDULERS``.
        num_inference_steps: model calls, at least 1.
        shift: where the steps are spent; higher means more of them at high noise.
        generator: draws the noise of samplers that add some (LCM, ER-SDE).
        strength: in (0, 1]; below 1 the run starts at a lower noise level.
        levels: the noise levels themselves, instead of those that steps, shift and strength make.
    """
    return SCHEDULERS[name](num_inference_steps, shift, generator, strength, levels)
