"""Guidance and the denoising loop, with models whose velocity is known."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from wan_core.models.dit.conditioning import UNCONDITIONED, DiTConditioning
from wan_core.pipelines.conditioning.types import Conditioning
from wan_core.pipelines.denoise import Sampling, denoise
from wan_core.pipelines.generation import plan_sampling
from wan_core.pipelines.guidance import Guidance, guided_velocity
from wan_core.pipelines.passes import PassRunner
from wan_core.pipelines.prompt_encoding import PromptEmbeds
from wan_core.schedulers import make_scheduler
from wan_core.schema import GenerationRequest

TIMESTEP = torch.tensor([500])
BOTH = PromptEmbeds(torch.full((1, 4, 8), 3.0), torch.full((1, 2, 8), 1.0))
ONE = PromptEmbeds(torch.full((1, 4, 8), 3.0), None)
LATENTS = torch.zeros(1, 16, 1, 2, 2)


class Model(nn.Module):
    """``velocity(latents, prompt mean, conditioning)``; counts its calls."""

    def __init__(self, velocity: Callable[[Tensor, float, DiTConditioning], Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.velocity = velocity
        self.calls = 0

    def forward(self, latents: Tensor, timestep: Tensor, embeds: Tensor, seen: DiTConditioning) -> Tensor:
        self.calls += 1
        return self.velocity(latents, embeds.mean().item(), seen)


def prompt_mean() -> Model:
    return Model(lambda latents, prompt, seen: torch.full_like(latents, prompt * seen.vace_scale))


@pytest.mark.parametrize(("scale", "expected"), [(4.0, 1 + 4 * (3 - 1)), (1.5, 4.0), (0.0, 1.0)])
def test_guidance_goes_from_null_towards_the_prompt(scale: float, expected: float) -> None:
    model = prompt_mean()
    velocity = guided_velocity(PassRunner(model), LATENTS, TIMESTEP, BOTH, Conditioning(), Guidance(scale))
    assert torch.equal(velocity, torch.full_like(LATENTS, expected))
    assert model.calls == 2


def test_without_a_null_prompt_there_is_one_pass() -> None:
    model = prompt_mean()
    assert (
        guided_velocity(PassRunner(model), LATENTS, TIMESTEP, ONE, Conditioning(), Guidance(1.0)).mean() == 3
    )
    assert model.calls == 1


def test_the_null_pass_reads_its_own_conditioning() -> None:
    conditioning = Conditioning(dit=DiTConditioning(vace_scale=2.0), null=DiTConditioning(vace_scale=5.0))
    velocity = guided_velocity(
        PassRunner(prompt_mean()), LATENTS, TIMESTEP, BOTH, conditioning, Guidance(3.0)
    )
    assert velocity.mean() == 5 + 3 * (6 - 5)


def test_references_have_a_guidance_of_their_own() -> None:
    """v = u + s_ref (i - u) + s_text (c - i), with c = 3, i = 1 and u = 1/2."""
    conditioning = Conditioning(dit=UNCONDITIONED, bare=DiTConditioning(vace_scale=0.5))
    model = prompt_mean()
    velocity = guided_velocity(PassRunner(model), LATENTS, TIMESTEP, BOTH, conditioning, Guidance(7.5, 5.0))
    assert velocity.mean() == 0.5 + 5.0 * (1 - 0.5) + 7.5 * (3 - 1)
    assert model.calls == 3


def run(model: Model, noise: Tensor, sampling: Sampling, conditioning: Conditioning) -> tuple[Tensor, list]:
    seen: list[tuple[int, Tensor]] = []
    latents = denoise(
        model, noise, ONE, conditioning, sampling, lambda done, clip: seen.append((done, clip.clone()))
    )
    return latents, seen


def towards(target: Tensor, sigmas: list[float]) -> Model:
    """With a velocity of (x - target) / sigma every step's expectation is the target itself."""
    levels = iter(sigmas)
    return Model(lambda latents, prompt, seen: (latents - target) / next(levels))


def test_the_preview_is_the_clean_clip_not_the_noise() -> None:
    target = torch.ones(1, 16, 1, 2, 2)
    scheduler = make_scheduler("euler", 4, 3.0)
    model = towards(target, scheduler.sigmas)
    latents, seen = run(
        model, torch.randn(1, 16, 1, 2, 2), Sampling(scheduler, Guidance(1.0)), Conditioning()
    )
    assert [done for done, _ in seen] == [1, 2, 3, 4]
    for clip in itertools.chain((clip for _, clip in seen), [latents]):
        np.testing.assert_allclose(clip, target, atol=1e-5)


def test_a_start_is_noised_to_the_first_level() -> None:
    start, noise = torch.randn(1, 16, 2, 2, 2), torch.randn(1, 16, 2, 2, 2)
    scheduler = make_scheduler("euler", 5, 5.0, strength=0.5)
    first = scheduler.sigmas[0]
    assert first == pytest.approx(5 * 0.5 / (1 + 4 * 0.5))
    began: list[Tensor] = []

    def still(latents: Tensor, prompt: float, seen: DiTConditioning) -> Tensor:
        began.append(latents.clone())
        return torch.zeros_like(latents)

    run(Model(still), noise, Sampling(scheduler, Guidance(1.0)), Conditioning(start=start))
    torch.testing.assert_close(began[0], (1 - first) * start + first * noise)


def test_what_is_kept_comes_back_exactly_and_the_rest_is_made() -> None:
    start, target = torch.randn(1, 16, 2, 2, 2), torch.full((1, 16, 2, 2, 2), 7.0)
    keep = torch.zeros(1, 1, 2, 2, 2)
    keep[..., 1] = 1.0
    scheduler = make_scheduler("unipc", 6, 3.0, strength=0.8)
    model = towards(target, scheduler.sigmas)
    conditioning = Conditioning(start=start, keep=keep)
    latents, _ = run(model, torch.randn_like(start), Sampling(scheduler, Guidance(1.0)), conditioning)
    assert torch.equal(latents[..., 0], start[..., 0])
    torch.testing.assert_close(latents[..., 1], target[..., 1], rtol=0, atol=1e-4)


def test_frames_before_the_clip_are_cut_off() -> None:
    target = torch.randn(1, 16, 5, 2, 2)
    scheduler = make_scheduler("euler", 2, 3.0)
    latents, seen = run(
        towards(target, scheduler.sigmas),
        torch.randn_like(target),
        Sampling(scheduler, Guidance(1.0)),
        Conditioning(front_frames=2),
    )
    torch.testing.assert_close(latents, target[:, :, 2:], rtol=0, atol=1e-5)
    assert {clip.shape[2] for _, clip in seen} == {3}


@pytest.mark.parametrize(
    ("control", "controlled"), [((0.0, 1.0), "11111"), ((0.2, 0.6), "01100"), ((0.5, 1.0), "00011")]
)
def test_control_has_its_part_of_the_steps(control: tuple[float, float], controlled: str) -> None:
    scales: list[str] = []

    def note(latents: Tensor, prompt: float, seen: DiTConditioning) -> Tensor:
        scales.append(f"{seen.vace_scale:.0f}")
        return torch.zeros_like(latents)

    conditioning = Conditioning(idle=DiTConditioning(vace_scale=0.0))
    sampling = Sampling(make_scheduler("euler", 5, 1.0), Guidance(1.0), control)
    run(Model(note), torch.randn(1, 16, 1, 2, 2), sampling, conditioning)
    assert "".join(scales) == controlled


def planned(**values: object) -> Sampling:
    filled = {"num_inference_steps": 10, "shift": 1.0, "guidance_scale": 5.0, "scheduler": "euler", **values}
    return plan_sampling(GenerationRequest(**filled), torch.Generator())


def test_strength_shortens_the_range_or_skips_steps() -> None:
    sigma = planned(task="v2v", strength=0.4).scheduler
    assert sigma.sigmas == pytest.approx([0.4 - 0.04 * step for step in range(11)])
    steps = planned(task="v2v", strength=0.4, strength_mode="steps").scheduler
    assert steps.sigmas == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.0])
    assert steps.timesteps == planned(task="t2v").scheduler.timesteps[6:]
    assert planned(task="v2v", strength=0.01, strength_mode="steps").scheduler.sigmas == pytest.approx(
        [0.1, 0]
    )
    assert planned(task="v2v", strength=0.0).scheduler.timesteps == []
    assert planned(task="t2v").scheduler.sigmas == planned(task="v2v", strength=1.0).scheduler.sigmas


def test_guidance_of_references_is_phantoms_unless_said() -> None:
    assert planned().guidance == Guidance(5.0, 5.0)
    assert planned(reference_guidance_scale=3).guidance == Guidance(5.0, 3.0)
