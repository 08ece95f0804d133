"""The denoising loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from wan_core.acceleration.step_cache import StepCache
from wan_core.pipelines.checkpoint import StepCheckpoint
from wan_core.pipelines.components import device_of
from wan_core.pipelines.conditioning.types import Conditioning
from wan_core.pipelines.guidance import Guidance, guided_velocity
from wan_core.pipelines.passes import UNCACHED, PassRunner
from wan_core.pipelines.prompt_encoding import PromptEmbeds
from wan_core.pipelines.windows import Windowing, nothing
from wan_core.schedulers import Scheduler
from wan_core.schema import GenerationFailed
from wan_core.schema.windows import WindowOptions

OnStep = Callable[[int, Tensor], None]
"""Told after each step: how many are done, and the clip as the model expects it (1, C, F, H, W)."""


@dataclass(frozen=True)
class Sampling:
    """How a run is sampled: its schedule, its guidance, the part of its steps that is controlled, its cache.

    ``control`` is (begin, end) in [0, 1]; a step is controlled if its beginning lies in [begin, end).
    ``cache`` is of this run alone. ``merges``: passes run as one batch where they can.
    ``windows``, settled, are what the transformer sees of the clip at a time; None is all of it.
    ``checkpoint`` is told of each step that is done. ``reached`` are the latents (1, C, front + F, H, W) that
    a run goes on from at the scheduler's step; None is a run from its first step.
    """

    scheduler: Scheduler
    guidance: Guidance
    control: tuple[float, float] = (0.0, 1.0)
    cache: StepCache = UNCACHED
    merges: bool = False
    windows: WindowOptions | None = None
    checkpoint: StepCheckpoint | None = None
    reached: Tensor | None = None

    def is_controlled(self, step: int) -> bool:
        begin, end = self.control
        return begin <= step / len(self.scheduler.timesteps) < end

    def reach(self, latents: Tensor) -> None:
        """A step is done."""
        if self.checkpoint is not None:
            self.checkpoint.reach(latents, self.scheduler)

    def reading(self, step: int) -> tuple[object, ...]:
        """What is told from one step to another in how the model reads its inputs."""
        guidance = self.guidance.at(step, len(self.scheduler.timesteps))
        return self.is_controlled(step), guidance.adjustments(None)


@torch.inference_mode()
def denoise(
    transformer: nn.Module,
    noise: Tensor,
    prompts: PromptEmbeds,
    conditioning: Conditioning,
    sampling: Sampling,
    on_step: OnStep,
    on_window: Callable[[], None] = nothing,
) -> Tensor:
    """Noise (1, C, front + F, H, W) -> latents (1, C, F, H, W), float32, on the transformer's device.

    With ``conditioning.start`` the run begins from it, noised to the schedule's first level; what
    ``conditioning.keep`` keeps of it is put back, at the level reached, after every step.

    The host waits for the device once a step, to look for NaN: it keeps progress true and lets ``on_step``
    stop the loop by raising. So may ``on_window``, which is called between the windows of a step.

    Raises:
        GenerationFailed: a step produced NaN or infinity.
    """
    device, scheduler, cache = device_of(transformer), sampling.scheduler, sampling.cache
    noise, prompts = noise.to(device), prompts.to(device)
    windowing = Windowing(sampling.windows, cache, on_window)
    conditioning = windowing.placed(conditioning, noise, device)
    idle = _without_control(conditioning)
    timesteps = torch.tensor(scheduler.timesteps, device=device)
    latents = _first_latents(sampling, noise, conditioning)
    front, total = conditioning.front_frames, len(timesteps)
    runner = PassRunner(transformer, windowing.cache, sampling.merges)

    def predict(step: int, part: Tensor, given: Conditioning) -> Tensor:
        guidance = sampling.guidance.at(step, total)
        return guided_velocity(runner, part, timesteps[step : step + 1], prompts, given, guidance)

    for step in range(scheduler.step_index, total):
        seen = conditioning if sampling.is_controlled(step) else idle
        if step > 0 and sampling.reading(step) != sampling.reading(step - 1):
            cache.renew()
        cache.begin_step(step)
        velocity = windowing.velocity(partial(predict, step), step, latents, seen)
        expected = latents - scheduler.sigmas[step] * velocity
        latents = scheduler.step(velocity, latents)
        if conditioning.keep is not None:
            kept = _noised(conditioning.start, noise, scheduler.sigmas[step + 1])
            latents = torch.lerp(kept, latents, conditioning.keep)
        _check(latents, step + 1, total)
        on_step(step + 1, expected[:, :, front:])
        sampling.reach(latents)
    return latents[:, :, front:]


def _first_latents(sampling: Sampling, noise: Tensor, conditioning: Conditioning) -> Tensor:
    """What the first step of a run, or the next one of a run that goes on, begins from."""
    if sampling.reached is not None:
        return sampling.reached.to(noise.device)
    if conditioning.start is None:
        return noise
    return _noised(conditioning.start, noise, sampling.scheduler.sigmas[0])


def _check(latents: Tensor, step: int, total: int) -> None:
    """That a step has not failed; the host waits for the device."""
    if not torch.isfinite(latents.sum()):
        raise GenerationFailed(
            f"Step {step} of {total} produced numbers that are no picture (NaN); "
            "try precision fp32 or bf16, or a lower guidance scale."
        )


def _noised(clean: Tensor, noise: Tensor, sigma: float) -> Tensor:
    return (1 - sigma) * clean + sigma * noise


def _without_control(conditioning: Conditioning) -> Conditioning:
    """What is read in the steps that the control leaves alone."""
    if conditioning.idle is None:
        return conditioning
    return dataclasses.replace(conditioning, dit=conditioning.idle, null=None)
