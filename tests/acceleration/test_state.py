"""What is kept, for whom and for how long, on a real VACE transformer with random weights."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest
import torch
from torch import Tensor

from tests.lora.making import noise
from tests.manager.fake_mover import FakeMover
from tests.models.randomise import randomise
from tests.models.steered_dit import CONFIG, PROMPTS, SHAPE
from wan_core.acceleration.magcache import MagCache, Magnitudes
from wan_core.acceleration.step_cache import Branch, Pass, ReusingCache, StepCache
from wan_core.acceleration.table import CACHES, Run
from wan_core.manager.residency import Residency
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.dit.model import WanDiT
from wan_core.pipelines.conditioning.types import Conditioning
from wan_core.pipelines.denoise import Sampling, denoise
from wan_core.pipelines.guidance import Guidance
from wan_core.schedulers import make_scheduler

SEEN = DiTConditioning(vace_latents=noise(1, 24, 2, 4, 4))
STEPS = 16
FAR = 1e9
"""A threshold that no step drifts to."""

METHODS = sorted(CACHES)
KNOWN = Magnitudes(tuple(1.0 - 0.0625 * step for step in range(STEPS)), (1.0,) * STEPS)


@pytest.fixture(scope="module")
def dit() -> WanDiT:
    return randomise(WanDiT(CONFIG)).requires_grad_(False).eval()


def sampling(cache: StepCache, control: tuple[float, float] = (0.0, 1.0), merges: bool = False) -> Sampling:
    return Sampling(make_scheduler("euler", STEPS, 1.0), Guidance(3.0), control, cache, merges)


def make(method: str, threshold: float) -> ReusingCache:
    sigmas = tuple(make_scheduler("euler", STEPS, 1.0).sigmas)
    return CACHES[method].make(threshold, Run(sigmas, magnitudes=KNOWN))


def denoised(
    dit: WanDiT, cache: StepCache, conditioning: Conditioning | None = None, **asked: object
) -> Tensor:
    given = conditioning or Conditioning(dit=SEEN)
    plan = sampling(cache, **asked)
    return denoise(dit, noise(*SHAPE, size=1.0), PROMPTS, given, plan, lambda *_: None)


class Counted:
    """How often each block of a model runs."""

    def __init__(self, dit: WanDiT) -> None:
        self.calls: Counter[str] = Counter()
        self._hooks = [
            block.register_forward_hook(lambda *_, name=name: self.calls.update([name]))
            for kind, blocks in (("main", dit.blocks), ("vace", dit.vace_blocks))
            for name, block in ((f"{kind} {number}", block) for number, block in enumerate(blocks))
        ]

    def remove(self) -> None:
        for hook in self._hooks:
            hook.remove()


@pytest.mark.parametrize("method", METHODS)
def test_threshold_zero_is_the_uncached_run_to_the_bit(dit: WanDiT, method: str) -> None:
    cache = make(method, 0.0)
    assert torch.equal(denoised(dit, cache), denoised(dit, StepCache()))
    assert cache.report == (f"{STEPS} of {STEPS} steps were computed.",)


@pytest.mark.parametrize(
    ("method", "computed", "first_blocks"),
    [
        ("teacache", (1, 16), 2),  # the first and the last
        ("teacache-retention", (1, 2, 3, 4, 5), 5),
        ("easycache", (1, 2, 3), 3),  # a fifth
        ("magcache", (1, 2, 3, 8, 13), 5),  # a fifth, then at most four skipped in a row
        ("first-block", (1, 16), 16),  # whose first block, with its hint, always runs
    ],
)
def test_skipped_steps_run_no_block_and_make_no_hint(
    dit: WanDiT, method: str, computed: tuple[int, ...], first_blocks: int
) -> None:
    cache, counted = make(method, FAR), Counted(dit)
    denoised(dit, cache)
    counted.remove()
    assert set(cache.skipped) == set(range(1, STEPS + 1)) - set(computed)
    passes = 2 * len(computed)
    assert counted.calls == {
        "main 0": 2 * first_blocks,
        "vace 0": 2 * first_blocks,
        **{name: passes for name in ("main 1", "main 2", "main 3", "vace 1")},
    }


def one(step: int, branch: Branch = "prompt", window: int = 0) -> Pass:
    """Each window of each branch has latents of its own, that no longer change after step 0."""
    size = 1.5 if step == 0 else 1.0
    seed = 10 * window + len(branch)
    prompt = PROMPTS.negative if branch == "null" else PROMPTS.positive
    return Pass(
        noise(*SHAPE, seed=seed, size=size),
        torch.tensor([500]),
        prompt,
        SEEN,
        (branch,),
        window,
    )


def begun(method: str) -> ReusingCache:
    """A cache that goes on from the last step that it has to compute."""
    cache = make(method, FAR)
    cache._forced = {0, 1}
    return cache


@pytest.mark.parametrize("method", METHODS)
@torch.inference_mode()
def test_each_branch_and_window_reuses_its_own(dit: WanDiT, method: str) -> None:
    cache = begun(method)
    for step in range(3):
        cache.begin_step(step)
        calls = [one(step, branch, window) for window in (0, 1) for branch in ("prompt", "null")]
        found = [cache.velocity(dit, call) for call in calls]
    assert cache.skipped[0] == 3
    for call, velocity in zip(calls, found, strict=True):  # the same input again: what was kept is exact
        torch.testing.assert_close(velocity, dit(*call.inputs()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("threshold", [0.0, 0.05, FAR])
@pytest.mark.parametrize("method", METHODS)
def test_passes_in_one_batch_skip_the_same_steps_and_say_the_same(
    dit: WanDiT, method: str, threshold: float
) -> None:
    one_by_one, together = make(method, threshold), make(method, threshold)
    expected = denoised(dit, one_by_one)
    torch.testing.assert_close(denoised(dit, together, merges=True), expected, rtol=1e-5, atol=1e-5)
    assert together.skipped == one_by_one.skipped


@pytest.mark.parametrize("method", METHODS)
@torch.inference_mode()
def test_a_pass_that_was_left_out_is_computed_when_it_comes_back(dit: WanDiT, method: str) -> None:
    cache = begun(method)
    for step in range(6):
        cache.begin_step(step)
        cache.velocity(dit, one(step))
        if step in (0, 5):
            other = one(step, "null")
            found = cache.velocity(dit, other)
    assert torch.equal(found, dit(*other.inputs()))  # what it kept in step 0 is older than step 1
    assert cache.skipped[:3] == (3, 4, 5)


@pytest.mark.parametrize("method", METHODS)
def test_a_control_that_ends_is_followed_by_a_computed_step(dit: WanDiT, method: str) -> None:
    given = Conditioning(dit=SEEN, idle=dataclasses.replace(SEEN, vace_scale=0.0))
    cache = make(method, FAR)
    denoised(dit, cache, given, control=(0.0, 0.5))
    assert 9 not in cache.skipped and 7 in cache.skipped


@pytest.mark.parametrize("method", METHODS)
def test_streamed_blocks_give_the_numbers_of_resident_ones(method: str) -> None:
    resident = randomise(WanDiT(CONFIG)).requires_grad_(False).eval()
    wanted = denoised(resident, make(method, FAR))
    model = randomise(WanDiT(CONFIG)).requires_grad_(False).eval()
    residency = Residency(model, FakeMover())
    residency.place((0, 1, 2, 3), False, 0)
    assert torch.equal(denoised(model, make(method, FAR)), wanted)
    residency.withdraw()


def test_magnitudes_of_a_model_are_measured_from_end_to_end(dit: WanDiT) -> None:
    sigmas = tuple(make_scheduler("euler", STEPS, 1.0).sigmas)
    cache = MagCache(0.1, sigmas, None)
    uncached = denoised(dit, StepCache())
    assert torch.equal(denoised(dit, cache), uncached)
    found = cache.measured
    assert found.sigmas == sigmas[:-1] and found.ratios[0] == 1 and len(found.ratios) == STEPS
    together = MagCache(0.1, sigmas, None)
    denoised(dit, together, merges=True)
    assert together.measured.ratios == pytest.approx(found.ratios, rel=1e-5)
    renewed = MagCache(0.1, sigmas, None)
    given = Conditioning(dit=SEEN, idle=SEEN)
    denoised(dit, renewed, given, control=(0.0, 0.5))
    assert renewed.measured is None  # nothing is known across the step where the control ends
