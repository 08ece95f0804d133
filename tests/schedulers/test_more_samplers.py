"""RES, DEIS and ER-SDE against formulas in float64, diffusers, orders of convergence and exact laws; levels
given one by one; runs that end early.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diffusers import DEISMultistepScheduler

from wan_core.schedulers import make_scheduler
from wan_core.schema.request import SchedulerName

SPREAD = 0.5
ODE = ("unipc", "dpm++", "euler", "res_multistep", "deis")


def _noise(seed: int = 0, numbers: int = 192) -> torch.Tensor:
    return torch.randn(numbers, generator=torch.Generator().manual_seed(seed))


def _toy_velocity(x, sigma: float):
    return x * (0.3 + sigma) + x**2 / (1 + x**2) - sigma


def _gaussian_velocity(x, sigma: float):
    """The flow to data of N(0, SPREAD^2), whose solution is known."""
    variance = (1 - sigma) ** 2 * SPREAD**2 + sigma**2
    return x * (sigma - (1 - sigma) * SPREAD**2) / variance


def _run(scheduler, latents: torch.Tensor, velocity=_toy_velocity) -> torch.Tensor:
    for sigma in scheduler.sigmas[:-1]:
        latents = scheduler.step(velocity(latents, sigma), latents)
    return latents


# ---- the formulas, written out --------------------------------------------------------------


def _reference_res(sigma: list[float], x: np.ndarray) -> np.ndarray:
    """phi functions and weights as the method's authors state them, with lambda = -ln sigma."""
    before = None
    for i in range(len(sigma) - 1):
        x0 = x - sigma[i] * _toy_velocity(x, sigma[i])
        if sigma[i + 1] == 0:
            return x0
        h = -math.log(sigma[i + 1]) + math.log(sigma[i])
        phi1 = (math.exp(-h) - 1) / -h
        phi2 = (phi1 - 1) / -h
        if before is None:
            x = math.exp(-h) * x + h * phi1 * x0
        else:
            c2 = (-math.log(sigma[i - 1]) + math.log(sigma[i])) / h
            x = math.exp(-h) * x + h * ((phi1 - phi2 / c2) * x0 + phi2 / c2 * before)
        before = x0
    raise AssertionError


def _reference_er_sde(sigma: list[float], x: np.ndarray, draws: list[np.ndarray]) -> np.ndarray:
    """Stages 1 to 3 over rho = sigma / (1 - sigma), its integrals by 100000 points."""

    def f(rho):
        return rho * (np.exp(rho**0.3) + 10)

    rho = [s / (1 - s) for s in sigma]
    x0s: list[np.ndarray] = []
    slopes: list[np.ndarray] = []
    for i in range(len(sigma) - 1):
        x0 = x - sigma[i] * _toy_velocity(x, sigma[i])
        if sigma[i + 1] == 0:
            return x0
        s, t, alpha = rho[i], rho[i + 1], 1 - sigma[i + 1]
        r = f(t) / f(s)
        x = alpha / (1 - sigma[i]) * r * x + alpha * (1 - r) * x0
        points = t + (s - t) * (np.arange(100_000) + 0.5) / 100_000
        if x0s:
            slope = (x0 - x0s[-1]) / (s - rho[i - 1])
            integral = (1 / f(points)).mean() * (s - t)
            x = x + alpha * (t - s + integral * f(t)) * slope
            if slopes:
                curve = (slope - slopes[-1]) / ((s - rho[i - 2]) / 2)
                integral = ((points - s) / f(points)).mean() * (s - t)
                x = x + alpha * ((t - s) ** 2 / 2 + integral * f(t)) * curve
            slopes.append(slope)
        x0s.append(x0)
        x = x + alpha * math.sqrt(t**2 - s**2 * r**2) * draws[i]
    raise AssertionError


@pytest.mark.parametrize(("steps", "shift"), [(1, 5.0), (2, 5.0), (9, 3.0), (40, 8.0)])
def test_res_equals_its_formulas(steps: int, shift: float) -> None:
    scheduler = make_scheduler("res_multistep", steps, shift)
    expected = torch.from_numpy(_reference_res(scheduler.sigmas, _noise().double().numpy())).float()
    torch.testing.assert_close(_run(scheduler, _noise()), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("steps", [2, 3, 4, 12])
def test_er_sde_equals_its_formulas(steps: int) -> None:
    levels = [*np.linspace(0.995, 0.05, steps), 0.0]
    scheduler = make_scheduler("er_sde", steps, 1.0, torch.Generator().manual_seed(3), levels=levels[:-1])
    generator = torch.Generator().manual_seed(3)
    draws = [torch.randn(192, generator=generator).double().numpy() for _ in range(steps - 1)]
    expected = torch.from_numpy(_reference_er_sde(levels, _noise().double().numpy(), draws)).float()
    torch.testing.assert_close(_run(scheduler, _noise()), expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize(("steps", "shift"), [(2, 5.0), (9, 3.0), (14, 8.0)])
def test_deis_equals_the_independent_implementation(steps: int, shift: float) -> None:
    """All steps but that to 0, where it divides 0 by 0; there one value says everything."""
    ours = make_scheduler("deis", steps, shift)
    oracle = DEISMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True)
    oracle.set_timesteps(steps)
    oracle.sigmas = torch.tensor(ours.sigmas, dtype=torch.float64)
    oracle.timesteps = torch.arange(steps, 0, -1).float()  # distinct, so that it finds its place
    expected, latents = _noise().double(), _noise()
    for timestep, sigma in zip(oracle.timesteps[:-1], ours.sigmas, strict=False):
        expected = oracle.step(_toy_velocity(expected, sigma), timestep, expected).prev_sample
        latents = ours.step(_toy_velocity(latents, sigma), latents)
        torch.testing.assert_close(latents, expected.float(), rtol=1e-5, atol=2e-5)
    velocity = _toy_velocity(latents, ours.sigmas[-2])
    torch.testing.assert_close(ours.step(velocity, latents), latents - ours.sigmas[-2] * velocity)


# ---- a flow whose end is known --------------------------------------------------------------


def _miss(name: SchedulerName, steps: int) -> float:
    """How far a run from 0.9 to 0.1 lands from where the flow leads."""

    def variance(sigma: float) -> float:
        return (1 - sigma) ** 2 * SPREAD**2 + sigma**2

    levels = np.linspace(0.9, 0.1, steps + 1).tolist()
    scheduler, latents = make_scheduler(name, steps, 1.0, levels=levels), _noise()
    exact = latents * math.sqrt(variance(levels[-1]) / variance(levels[0]))
    for sigma in levels[:-1]:
        latents = scheduler.step(_gaussian_velocity(latents, sigma), latents)
    return float((latents - exact).norm() / exact.norm())


@pytest.mark.parametrize(("name", "gain"), [("res_multistep", 3.5), ("deis", 3.5), ("euler", 1.9)])
def test_order_of_convergence(name: SchedulerName, gain: float) -> None:
    """Twice the steps miss by a fourth where the order is two, by half where it is one."""
    assert _miss(name, 20) / _miss(name, 40) > gain


@pytest.mark.parametrize("name", ["er_sde"])
def test_noise_drawn_anew_keeps_the_law_of_the_data(name: SchedulerName) -> None:
    scheduler = make_scheduler(name, 60, 3.0, torch.Generator().manual_seed(1))
    end = _run(scheduler, _noise(numbers=40_000), _gaussian_velocity)
    assert float(end.std()) == pytest.approx(SPREAD, rel=0.03)
    assert abs(float(end.mean())) < 0.01


def test_er_sde_depends_on_the_generators_seed() -> None:
    runs = [
        _run(make_scheduler("er_sde", 4, 3.0, torch.Generator().manual_seed(s)), _noise()) for s in (1, 1, 2)
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.allclose(runs[0], runs[2], atol=0.01)


# ---- levels, and where a run begins and ends ------------------------------------------------


@pytest.mark.parametrize("name", ["unipc", "dpm++", "euler", "lcm", "res_multistep", "deis", "er_sde"])
@pytest.mark.parametrize(
    "levels", [(1.0, 0.9375, 0.8333, 0.625), (0.98, 0.5), (1.0,), (1.0, 0.999, 0.4, 0.1)]
)
def test_levels_of_ones_own(name: SchedulerName, levels: tuple[float, ...]) -> None:
    scheduler = make_scheduler(name, 50, 7.0, torch.Generator().manual_seed(0), 0.3, levels)
    assert scheduler.sigmas == [*levels, 0.0]
    assert scheduler.timesteps == [int(1000 * level) for level in levels]
    end = _run(scheduler, _noise(), _gaussian_velocity)
    assert end.isfinite().all()
    assert float(end.std()) < 1.0


@pytest.mark.parametrize("name", ODE)
def test_levels_as_the_schedule_makes_them_change_nothing(name: SchedulerName) -> None:
    plain = make_scheduler(name, 7, 5.0)
    given = make_scheduler(name, 7, 1.0, levels=plain.sigmas[:-1])
    assert torch.equal(_run(plain, _noise()), _run(given, _noise()))


@pytest.mark.parametrize("name", ODE)
def test_a_run_that_ends_early_gives_what_is_expected_by_then(name: SchedulerName) -> None:
    whole, ended = make_scheduler(name, 6, 5.0), make_scheduler(name, 6, 5.0)
    ended.end(4)
    assert ended.sigmas == [*whole.sigmas[:4], 0.0]
    latents = _noise()
    for sigma in whole.sigmas[:4]:
        before, velocity = latents, _toy_velocity(latents, sigma)
        latents = whole.step(velocity, latents)
    end = _run(ended, _noise())
    if name != "unipc":  # which corrects where it stands before the last step, as it does in every run
        torch.testing.assert_close(end, before - whole.sigmas[3] * velocity, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(end, _run(make_scheduler(name, 6, 5.0), _noise()), atol=1e-3)
