"""Guidance in whole runs of a real VACE transformer with random weights: passes, bits, caches, streaming."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from tests.lora.making import low_rank, noise, use
from tests.manager.fake_mover import FakeMover
from tests.models.randomise import randomise
from tests.models.steered_dit import CONFIG, PROMPTS, SHAPE
from wan_core.acceleration.step_cache import Pass, StepCache
from wan_core.acceleration.table import CACHES, Run
from wan_core.lora.fitting import Lora, fit
from wan_core.lora.wearing import wearing
from wan_core.manager.residency import Residency
from wan_core.models.dit.adjusting import Adjustments, Nag
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.memory import remembering
from wan_core.models.dit.model import WanDiT
from wan_core.pipelines.conditioning.types import Conditioning
from wan_core.pipelines.denoise import Sampling, denoise
from wan_core.pipelines.guidance import Guidance, combined
from wan_core.schedulers import make_scheduler
from wan_core.schema.guidance import GuidanceOptions
from wan_core.schema.windows import WindowOptions

SEEN = Conditioning(dit=DiTConditioning(vace_latents=noise(1, 24, 2, 4, 4)))
STEPS = 5

OPTIONS = {
    "course": {"guidance_scales": (6, 4, 2)},
    "ending": {"guidance_scale_end": 1.5},
    "part": {"guidance_start": 0.2, "guidance_end": 0.8},
    "cfg-zero": {"cfg_zero": True},
    "still": {"zero_init_steps": 1},
    "skip": {"skip_blocks": (1, 2)},
    "skip-third": {"skip_blocks": (1, 2), "skip_mode": "third"},
    "nag": {"nag_scale": 11.0},
    "enhance": {"enhance_video": 8.0},
    "fresca": {"fresca_high": 1.5},
    "all": {
        "guidance_end": 0.8,
        "cfg_zero": True,
        "skip_blocks": (2,),
        "nag_scale": 5.0,
        "enhance_video": 4.0,
        "enhance_start": 0.4,
        "fresca_low": 0.9,
    },
}


class Telling(StepCache):
    """Remembers the branches of every call, step by step."""

    def __init__(self) -> None:
        self.steps: list[list[tuple[str, ...]]] = []
        self.renewed: list[int] = []

    def begin_step(self, step: int) -> None:
        self.steps.append([])

    def renew(self) -> None:
        self.renewed.append(len(self.steps))

    def velocity(self, transformer: torch.nn.Module, call: Pass) -> Tensor:
        self.steps[-1].append(call.branches)
        return super().velocity(transformer, call)


@pytest.fixture(scope="module")
def dit() -> WanDiT:
    return randomise(WanDiT(CONFIG)).requires_grad_(False).eval()


def run(
    dit: torch.nn.Module,
    cache: StepCache | None = None,
    scale: float = 3.0,
    merges: bool = False,
    **options: object,
) -> Tensor:
    guidance = Guidance(scale, options=GuidanceOptions(**options))
    scheduler = make_scheduler("euler", STEPS, 1.0)
    sampling = Sampling(scheduler, guidance, cache=cache or StepCache(), merges=merges)
    return denoise(dit, noise(*SHAPE, size=1.0), PROMPTS, SEEN, sampling, lambda *_: None)


def passes(dit: torch.nn.Module, scale: float = 3.0, **options: object) -> list[list[str]]:
    telling = Telling()
    run(dit, telling, scale, **options)
    return [["+".join(branches) for branches in step] for step in telling.steps]


# ---- every option changes the result, neutral ones change no bit -----------------------------


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_changes_the_result(dit: WanDiT, name: str) -> None:
    changed = run(dit, **OPTIONS[name])
    assert changed.isfinite().all()
    assert (changed - run(dit)).abs().max() > 1e-4


NEUTRAL = {
    "list": {"guidance_scales": (3.0,)},
    "ending": {"guidance_scale_end": 3.0},
    "no-weak": {"skip_blocks": (1,), "skip_mode": "third", "skip_scale": 0.0},
    "nag-share": {"nag_scale": 9.0, "nag_alpha": 0.0},
    "fresca": {"fresca_cutoff": 0.1},
    "outside": {"skip_blocks": (1,), "skip_start": 0.95, "enhance_video": 5.0, "enhance_start": 0.95},
    "easing": {"guidance_easing": "ease-in"},
}


@pytest.mark.parametrize("name", NEUTRAL)
def test_neutral_values_change_no_bit(dit: WanDiT, name: str) -> None:
    assert torch.equal(run(dit, **NEUTRAL[name]), run(dit))


def test_the_negative_pass_is_made_only_where_it_counts(dit: WanDiT) -> None:
    both, one = ["prompt", "null"], ["prompt"]
    assert passes(dit) == [both] * STEPS
    assert passes(dit, 1.0) == [one] * STEPS
    assert passes(dit, guidance_start=0.2, guidance_end=0.8) == [one, both, both, both, one]
    assert passes(dit, guidance_scales=(4, 1, 2, 1)) == [both, one, both, one, one]
    assert passes(dit, 1.0, nag_scale=8.0) == [one] * STEPS
    assert passes(dit, zero_init_steps=2) == [[], [], both, both, both]
    third = {"skip_blocks": (0,), "skip_mode": "third", "skip_start": 0.4}
    assert passes(dit, **third) == [both, both] + [[*both, "weak"]] * 3
    assert passes(dit, 1.0, **third) == [one, one] + [[*one, "weak"]] * 3


def test_steps_that_are_held_still_move_nothing(dit: WanDiT) -> None:
    expected: list[Tensor] = []
    guidance = Guidance(3.0, options=GuidanceOptions(zero_init_steps=2))
    sampling = Sampling(make_scheduler("euler", STEPS, 1.0), guidance)
    start = noise(*SHAPE, size=1.0)
    denoise(dit, start, PROMPTS, SEEN, sampling, lambda _, seen: expected.append(seen))
    assert torch.equal(expected[0], start) and torch.equal(expected[1], start)
    assert not torch.equal(expected[2], start)


# ---- what the methods are ------------------------------------------------------------------


def test_a_skipped_layer_is_as_if_it_were_not_there(dit: WanDiT) -> None:
    """VACE hints join all the same."""
    skipping = dataclasses.replace(SEEN.dit, adjustments=Adjustments(skipped=frozenset({1, 2})))
    given = (noise(*SHAPE), torch.tensor([500.0]), PROMPTS.positive)
    found = dit(*given, skipping)
    tokens, context = dit.embed(*given, SEEN.dit)
    hints = dit.hints(tokens, context)
    tokens = dit.blocks[0](tokens, context) + next(hints)
    tokens = dit.blocks[3](tokens + next(hints), context)
    torch.testing.assert_close(found, dit.unembed(tokens, context), rtol=1e-5, atol=1e-5)


def test_layers_skipped_in_the_negative_pass_leave_the_other_alone(dit: WanDiT) -> None:
    """Written out: c + (g - 1) (c - u'), u' without the layers."""
    scheduler = make_scheduler("euler", 1, 1.0)
    start = noise(*SHAPE, size=1.0)
    weak = dataclasses.replace(SEEN.dit, adjustments=Adjustments(skipped=frozenset({1})))
    timestep = torch.tensor([1000])
    conditional, full = (dit(start, timestep, PROMPTS.positive, seen) for seen in (SEEN.dit, weak))
    null, lame = (dit(start, timestep, PROMPTS.negative, seen) for seen in (SEEN.dit, weak))
    for mode, velocity in (
        ("negative", lame + 3.0 * (conditional - lame)),
        ("third", null + 3.0 * (conditional - null) + 1.5 * (conditional - full)),
    ):
        options = GuidanceOptions(skip_blocks=(1,), skip_mode=mode, skip_scale=1.5, skip_start=0.0)
        sampling = Sampling(scheduler, Guidance(3.0, options=options))
        found = denoise(dit, start, PROMPTS, SEEN, sampling, lambda *_: None)
        torch.testing.assert_close(found, start - velocity, rtol=1e-4, atol=1e-4)
        scheduler = make_scheduler("euler", 1, 1.0)


def test_nag_reads_the_negative_prompt_in_every_cross_attention(dit: WanDiT) -> None:
    given = (noise(*SHAPE), torch.tensor([500.0]), PROMPTS.positive)

    def led(prompt: Tensor, scale: float) -> Tensor:
        adjustments = Adjustments(nag=Nag(prompt, scale, 2.5, 0.25))
        return dit(*given, dataclasses.replace(SEEN.dit, adjustments=adjustments))

    plain = dit(*given, SEEN.dit)
    torch.testing.assert_close(led(PROMPTS.positive, 11.0), plain, rtol=1e-4, atol=1e-4)  # from itself
    away = led(PROMPTS.negative, 11.0)
    assert (away - plain).abs().max() > 1e-3
    assert not torch.allclose(led(noise(1, 4, 32, seed=9), 11.0), away, atol=1e-4)
    with remembering(dit, keeps_keys=True):
        for _ in range(2):
            torch.testing.assert_close(led(PROMPTS.negative, 11.0), away, rtol=1e-5, atol=1e-5)


def test_cfg_zero_and_fresca_act_on_what_is_compared() -> None:
    c, u = noise(1, 2, 1, 4, 4, seed=1), noise(1, 2, 1, 4, 4, seed=2)
    found = {"prompt": c, "null": u}
    part = float((c * u).sum() / (u * u).sum())
    zero = combined(found, Guidance(3.0, options=GuidanceOptions(cfg_zero=True)))
    torch.testing.assert_close(zero, part * u + 3.0 * (c - part * u))
    both = combined(
        found, Guidance(3.0, options=GuidanceOptions(cfg_zero=True, fresca_low=2.0, fresca_high=2.0))
    )
    torch.testing.assert_close(both, part * u + 6.0 * (c - part * u))


# ---- together with the rest ----------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIONS)
def test_passes_in_one_batch_give_the_same(dit: WanDiT, name: str) -> None:
    torch.testing.assert_close(
        run(dit, merges=True, **OPTIONS[name]), run(dit, **OPTIONS[name]), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("method", sorted(CACHES))
@pytest.mark.parametrize("name", ["part", "skip-third", "nag", "all"])
def test_a_cache_that_skips_nothing_changes_nothing(dit: WanDiT, method: str, name: str) -> None:
    sigmas = tuple(make_scheduler("euler", STEPS, 1.0).sigmas)
    cache = CACHES[method].make(0.0, Run(sigmas))
    torch.testing.assert_close(
        run(dit, cache, **OPTIONS[name]), run(dit, **OPTIONS[name]), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("method", ["teacache", "first-block", "easycache"])
def test_nothing_is_reused_across_a_change_of_layers(dit: WanDiT, method: str) -> None:
    """A cache that would skip all it may begins anew where layers begin to be skipped."""
    sigmas = tuple(make_scheduler("euler", STEPS, 1.0).sigmas)
    told = Telling()
    run(dit, told, skip_blocks=(1,), skip_start=0.4, skip_end=0.8)
    assert told.renewed == [2, 4]
    cache = CACHES[method].make(1e9, Run(sigmas))
    run(dit, cache, skip_blocks=(1,), skip_start=0.4, skip_end=0.8)
    assert {3, 5}.isdisjoint(cache.skipped)


@pytest.mark.parametrize("in_pieces", [False, True])
def test_streamed_blocks_may_be_skipped(in_pieces: bool) -> None:
    model = randomise(WanDiT(CONFIG)).requires_grad_(False).eval()
    wanted = run(model, **OPTIONS["all"])
    residency = Residency(model, FakeMover())
    residency.place((0, 1, 2, 3), in_pieces, 2**30)
    assert torch.equal(run(model, **OPTIONS["all"]), wanted)
    residency.withdraw()
    assert torch.equal(run(model, **OPTIONS["all"]), wanted)


@pytest.mark.parametrize("name", OPTIONS)
def test_windows_over_a_long_clip_are_guided_alike(dit: WanDiT, name: str) -> None:
    """Every window has all passes of its step, and the methods count in each."""
    shape, seen = (1, 16, 5, 4, 4), Conditioning(dit=DiTConditioning(vace_latents=noise(1, 24, 5, 4, 4)))
    windows = WindowOptions.read("static frames=9 overlap=4").settled(81)

    def made(**options: object) -> Tensor:
        guidance = Guidance(3.0, options=GuidanceOptions(**options))
        sampling = Sampling(make_scheduler("euler", STEPS, 1.0), guidance, windows=windows)
        return denoise(dit, noise(*shape, size=1.0), PROMPTS, seen, sampling, lambda *_: None)

    found = made(**OPTIONS[name])
    assert found.shape == shape and found.isfinite().all()
    assert (found - made()).abs().max() > 1e-4


def test_nag_leaves_the_picture_alone() -> None:
    """What tokens gather from a picture is added after, so away from the prompt itself nothing changes."""
    config = DiTConfig(
        dim=48, ffn_dim=96, num_heads=4, num_layers=2, text_dim=32, freq_dim=16, in_dim=36, image_dim=24
    )
    model = randomise(WanDiT(config)).requires_grad_(False).eval()
    seen = DiTConditioning(channel_latents=noise(1, 20, 2, 4, 4), image_embeds=noise(1, 7, 24))
    given = (noise(*SHAPE), torch.tensor([500.0]), PROMPTS.positive)

    def led(prompt: Tensor) -> Tensor:
        adjustments = Adjustments(nag=Nag(prompt, 11.0, 2.5, 1.0))
        return model(*given, dataclasses.replace(seen, adjustments=adjustments))

    plain = model(*given, seen)
    torch.testing.assert_close(led(PROMPTS.positive), plain, rtol=1e-4, atol=1e-4)
    assert (led(PROMPTS.negative) - plain).abs().max() > 1e-3


def test_loras_are_worn_in_every_kind_of_pass() -> None:
    model = randomise(WanDiT(CONFIG)).requires_grad_(False).eval()
    bare = run(model, **OPTIONS["all"])
    paths = ("blocks.1.cross_attn.k", "blocks.2.self_attn.q", "blocks.3.ffn.0", "text_embedding.0")
    tensors, _ = low_rank(model, paths, lambda path: path, ("lora_down.weight", "lora_up.weight", "alpha"))
    with wearing(model, [fit(Lora(use(), tensors), model)]):
        worn = run(model, **OPTIONS["all"])
        with remembering(model, keeps_keys=True):
            torch.testing.assert_close(run(model, **OPTIONS["all"]), worn, rtol=1e-5, atol=1e-5)
    assert (worn - bare).abs().max() > 1e-4
    assert torch.equal(run(model, **OPTIONS["all"]), bare)
