"""Samplers against the formulas of spec 6 in float64, diffusers' step mathematics, and an exact flow."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
)

from wan_core.schedulers import SCHEDULERS, make_scheduler
from wan_core.schema.request import SchedulerName

RUNS = [(1, 5.0), (2, 5.0), (3, 1.0), (9, 3.0), (20, 8.0), (70, 16.0)]
_START = {
    "unipc": 0.999,
    "dpm++": 1.0,
    "euler": 1.0,
    "lcm": 1.0,
    "res_multistep": 1.0,
    "deis": 0.999,
    "er_sde": 1.0,
}


def _noise(seed: int = 0) -> torch.Tensor:
    return torch.randn(1, 4, 2, 6, 4, generator=torch.Generator().manual_seed(seed))


def _toy_velocity(x, sigma: float):
    """A curved flow, of numpy arrays and tensors alike."""
    return x * (0.3 + sigma) + x**2 / (1 + x**2) - sigma


def _run(name: SchedulerName, steps: int, shift: float) -> torch.Tensor:
    scheduler, latents = make_scheduler(name, steps, shift), _noise()
    for sigma in scheduler.sigmas[:-1]:
        latents = scheduler.step(_toy_velocity(latents, sigma), latents)
    assert latents.dtype == torch.float32
    return latents


def _sigmas(start: float, steps: int, shift: float) -> np.ndarray:
    even = np.array([start * (1 - i / steps) for i in range(steps)] + [0.0])
    return shift * even / (1 + (shift - 1) * even)


def _lambda(sigma: float) -> float:
    with np.errstate(divide="ignore"):
        return float(np.log(1 - np.float64(sigma)) - np.log(np.float64(sigma)))


# ---- the formulas, written out --------------------------------------------------------------


def _reference_dpmpp(steps: int, shift: float) -> np.ndarray:
    sigma = _sigmas(1.0, steps, shift)
    x, before = _noise().double().numpy(), None
    for i in range(steps):
        x0 = x - sigma[i] * _toy_velocity(x, sigma[i])
        h = _lambda(sigma[i + 1]) - _lambda(sigma[i])
        slope = 0.0
        if 0 < i < steps - 1:
            r = (_lambda(sigma[i]) - _lambda(sigma[i - 1])) / h
            slope = (x0 - before) / r
        x = sigma[i + 1] / sigma[i] * x + (1 - sigma[i + 1]) * (1 - math.exp(-h)) * (x0 + slope / 2)
        before = x0
    return x


def _uni_update(x: np.ndarray, models: list[np.ndarray], levels: list[float], target: float, seen=None):
    """UniP over ``models`` (newest first, at ``levels``), or UniC when ``seen`` is the model at target."""
    h = _lambda(target) - _lambda(levels[0])
    big = math.expm1(-h)
    rates = [(_lambda(level) - _lambda(levels[0])) / h for level in levels[1:]]
    slopes = [(model - models[0]) / rate for model, rate in zip(models[1:], rates, strict=True)]
    if seen is not None:
        rates, slopes = [*rates, 1.0], [*slopes, seen - models[0]]
    if len(rates) == 1:
        weights = [0.5]
    else:
        phi, factorial, right = big / -h - 1, 1, []
        for k in range(1, len(rates) + 1):
            right.append(phi * factorial / big)
            factorial *= k + 1
            phi = phi / -h - 1 / factorial
        weights = np.linalg.solve(np.vander(rates, increasing=True).T, right) if rates else []
    change = sum((weight * slope for weight, slope in zip(weights, slopes, strict=True)), np.zeros_like(x))
    return target / levels[0] * x - (1 - target) * big * (models[0] + change)


def _reference_unipc(steps: int, shift: float) -> np.ndarray:
    sigma = _sigmas(0.999, steps, shift)
    x, models, levels, order, origin = _noise().double().numpy(), [], [], 0, None
    for i in range(steps):
        x0 = x - sigma[i] * _toy_velocity(x, sigma[i])
        if i:
            x = _uni_update(origin, models[:order], levels[:order], sigma[i], seen=x0)
        models, levels = [x0, *models], [sigma[i], *levels]
        order = 1 if i in (0, steps - 1) else 2
        origin = x
        x = _uni_update(x, models[:order], levels[:order], sigma[i + 1])
    return x


@pytest.mark.parametrize(("steps", "shift"), RUNS)
@pytest.mark.parametrize(("name", "reference"), [("unipc", _reference_unipc), ("dpm++", _reference_dpmpp)])
def test_run_equals_the_formulas(name, reference: Callable, steps: int, shift: float) -> None:
    expected = torch.from_numpy(reference(steps, shift)).float()
    torch.testing.assert_close(_run(name, steps, shift), expected, rtol=1e-5, atol=1e-5)


# ---- diffusers, given our noise levels ------------------------------------------------------


def _run_oracle(oracle, sigmas: list[float]) -> torch.Tensor:
    steps = len(sigmas) - 1
    oracle.set_timesteps(steps)
    oracle.sigmas = torch.tensor(sigmas, dtype=torch.float64)
    oracle.timesteps = torch.arange(steps, 0, -1).float()  # distinct, so that it finds its place
    oracle.num_inference_steps = steps
    latents = _noise().double()
    for timestep, sigma in zip(oracle.timesteps, sigmas, strict=False):
        latents = oracle.step(_toy_velocity(latents, sigma), timestep, latents).prev_sample
    return latents.float()


def _oracle(name: str):
    if name == "unipc":
        return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True)
    if name == "dpm++":
        return DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True)
    return FlowMatchEulerDiscreteScheduler()


@pytest.mark.parametrize(("steps", "shift"), [(2, 5.0), (9, 3.0), (20, 8.0), (70, 16.0)])
@pytest.mark.parametrize("name", ["unipc", "dpm++", "euler"])
def test_steps_equal_the_independent_implementation(name: SchedulerName, steps: int, shift: float) -> None:
    expected = _run_oracle(_oracle(name), make_scheduler(name, steps, shift).sigmas)
    torch.testing.assert_close(_run(name, steps, shift), expected, rtol=1e-5, atol=2e-5)


# ---- the schedule ---------------------------------------------------------------------------


def test_every_name_of_a_request_has_a_sampler() -> None:
    assert set(SCHEDULERS) == set(get_args(SchedulerName))


@pytest.mark.parametrize("name", sorted(_START))
@pytest.mark.parametrize(("steps", "shift"), RUNS)
def test_noise_levels_and_truncated_timesteps(name: SchedulerName, steps: int, shift: float) -> None:
    scheduler = make_scheduler(name, steps, shift)
    np.testing.assert_allclose(scheduler.sigmas, _sigmas(_START[name], steps, shift), atol=1e-7)
    assert all(type(timestep) is int for timestep in scheduler.timesteps)
    assert scheduler.timesteps == [math.floor(1000 * sigma) for sigma in scheduler.sigmas[:-1]]


def test_first_timesteps_of_the_official_samplers() -> None:
    assert make_scheduler("unipc", 50, 5.0).timesteps[:4] == [999, 995, 991, 987]
    assert make_scheduler("dpm++", 50, 5.0).timesteps[:4] == [1000, 995, 991, 987]
    assert make_scheduler("unipc", 3, 1.0).timesteps == [999, 666, 333]


def test_equal_timesteps_do_not_stop_a_run() -> None:
    scheduler = make_scheduler("unipc", 70, 16.0)
    assert scheduler.timesteps[0] == scheduler.timesteps[1] == 999
    assert _run("unipc", 70, 16.0).isfinite().all()


@pytest.mark.parametrize("name", sorted(_START))
def test_finished_run_refuses_another_step(name: SchedulerName) -> None:
    scheduler = make_scheduler(name, 1, 5.0)
    scheduler.step(_noise(), _noise())
    with pytest.raises(IndexError, match="all 1 steps"):
        scheduler.step(_noise(), _noise())


def test_half_precision_velocity_keeps_latents_float32() -> None:
    latents = make_scheduler("unipc", 4, 5.0).step(_noise().bfloat16(), _noise(1))
    assert latents.dtype == torch.float32


# ---- a flow whose end is known --------------------------------------------------------------


def _miss(name: SchedulerName, steps: int, spread: float = 0.5) -> float:
    """How far a run lands from the end of the flow to data of N(0, spread^2), from sigma 0.999."""

    def variance(sigma: float) -> float:
        return (1 - sigma) ** 2 * spread**2 + sigma**2

    scheduler = make_scheduler(name, steps, 3.0)
    first = scheduler.sigmas[0]
    latents = start = _noise()
    for sigma in scheduler.sigmas[:-1]:
        velocity = latents * (sigma - (1 - sigma) * spread**2) / variance(sigma)
        latents = scheduler.step(velocity, latents)
    exact = start * math.sqrt(variance(0.0) / variance(first))
    return float((latents - exact).norm() / exact.norm())


@pytest.mark.parametrize(("name", "limit"), [("unipc", 5e-3), ("dpm++", 1e-2), ("euler", 8e-2)])
def test_run_lands_where_the_flow_ends(name: SchedulerName, limit: float) -> None:
    assert _miss(name, 40) < limit
    assert _miss(name, 40) < 0.7 * _miss(name, 20)


# ---- consistency sampling -------------------------------------------------------------------


@pytest.mark.parametrize("name", get_args(SchedulerName))
def test_only_samplers_that_add_noise_draw_from_the_generator(name: SchedulerName) -> None:
    generator = torch.Generator().manual_seed(7)
    before = generator.get_state()
    make_scheduler(name, 2, 5.0, generator).step(_noise(1), _noise(2))
    assert torch.equal(generator.get_state(), before) == (name not in ("lcm", "er_sde"))


def test_lcm_adds_the_generators_noise_and_ends_on_the_prediction() -> None:
    scheduler = make_scheduler("lcm", 2, 5.0, generator=torch.Generator().manual_seed(7))
    latents, velocity, last_velocity = _noise(1), _noise(2), _noise(3)
    moved = scheduler.step(velocity, latents)
    fresh = torch.randn(latents.shape, generator=torch.Generator().manual_seed(7))
    sigma = 5 * 0.5 / (1 + 4 * 0.5)
    torch.testing.assert_close(moved, (1 - sigma) * (latents - velocity) + sigma * fresh)
    torch.testing.assert_close(scheduler.step(last_velocity, moved), moved - sigma * last_velocity)
