"""Step caches in whole jobs of the tiny model: what is said, and that nothing stays behind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wan_core.catalog import ModelSpec, find_model
from wan_core.engine import Engine, ignore
from wan_core.lora.wearing import Strength, Worn
from wan_core.manager.plan_work import Clip, denoising_bytes
from wan_core.models.dit.model import WanDiT
from wan_core.pipelines.latents import load_latents
from wan_core.pipelines.step_caching import family_of
from wan_core.schema import Cancelled, GenerationRequest, ProgressEvent, Settings, Stage
from wan_core.schema.lora import LoraUse

STEPS = 15


@pytest.fixture
def engine(settings: Settings, tiny: ModelSpec) -> Engine:
    return Engine(settings)


def asked(cache: str = "off", threshold: float | None = None, **values: object) -> GenerationRequest:
    return GenerationRequest(
        model="tiny",
        prompt="a red circle",
        seed=1,
        num_inference_steps=values.pop("num_inference_steps", STEPS),
        step_cache=cache,
        step_cache_threshold=threshold,
        **values,
    )


def made(engine: Engine, request: GenerationRequest, job_id: str) -> tuple[Tensor, tuple[str, ...]]:
    result = engine.generate(request, ignore, job_id)
    return load_latents(engine.latents_path(job_id))[0], result.warnings


def test_a_job_says_what_was_computed_and_the_next_knows_nothing_of_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_blocks, passes = WanDiT.run_blocks, []

    def counting(*arguments: object) -> Tensor:
        passes.append(1)
        return run_blocks(*arguments)

    monkeypatch.setattr(WanDiT, "run_blocks", counting)
    plain, said = made(engine, asked(), "plain")
    assert said == () and len(passes) == STEPS  # both passes of a step at once
    passes.clear()
    cached, (computed, skipped) = made(engine, asked("teacache", 2.0), "cached")
    done = len(passes)
    assert 2 <= done < STEPS
    assert computed == f"{done} of 15 steps were computed."
    assert skipped.startswith("Skipped steps: 2, ") and skipped.count(",") == STEPS - done - 1
    assert not torch.equal(cached, plain)
    again, said = made(engine, asked("teacache", 2.0), "again")
    assert torch.equal(again, cached) and said == (computed, skipped)
    for cache in ("teacache", "easycache", "first-block", "magcache"):
        zero, said = made(engine, asked(cache, 0.0), cache)
        assert torch.equal(zero, plain) and said[0] == "15 of 15 steps were computed."


def test_a_cancelled_job_leaves_nothing_to_the_next(engine: Engine) -> None:
    def stop(event: ProgressEvent) -> None:
        if event.stage is Stage.DENOISE and event.step == 7:
            raise Cancelled

    wanted, _ = made(engine, asked("easycache", 0.5), "whole")
    with pytest.raises(Cancelled):
        engine.generate(asked("easycache", 0.5), stop, "cut")
    after, _ = made(engine, asked("easycache", 0.5), "after")
    assert torch.equal(after, wanted)


def test_few_steps_are_all_computed_and_the_result_says_so(engine: Engine) -> None:
    plain, _ = made(engine, asked(num_inference_steps=12), "plain")
    cached, said = made(engine, asked("fast", 2.0, num_inference_steps=12), "cached")
    assert torch.equal(cached, plain)
    assert said == ("No step was skipped: runs of up to 12 steps need each of theirs.",)


def test_magcache_measures_a_model_once_and_skips_from_then_on(engine: Engine) -> None:
    plain, _ = made(engine, asked(), "plain")
    measuring, said = made(engine, asked("magcache", 2.0), "measuring")
    assert torch.equal(measuring, plain)
    assert said == (
        "15 of 15 steps were computed.",
        "MagCache has measured this model; its next videos will skip steps.",
    )
    (kept,) = engine.settings.measured_dir.iterdir()
    _, said = made(engine, asked("magcache", 2.0), "skipping")
    assert said[0] == "5 of 15 steps were computed."  # 1-3, then each after four skipped ones
    kept.write_text("{")
    assert made(engine, asked("magcache", 2.0), "anew")[1][0] == "15 of 15 steps were computed."


def test_a_lora_that_changes_asks_for_a_computed_step() -> None:
    worn = Worn([Strength(LoraUse(file="a.safetensors", strength=(0.5, 0.5, 1.0)))])
    assert [worn.begin_step(step) for step in range(5)] == [False, False, True, False, False]


def test_a_change_of_what_is_worn_is_followed_by_a_computed_step(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(engine, asked("magcache", 2.0), "measuring")
    _, undisturbed = made(engine, asked("magcache", 2.0), "undisturbed")
    monkeypatch.setattr(Worn, "begin_step", lambda worn, step: step == 9)
    _, (_, skipped) = made(engine, asked("magcache", 2.0), "changed")
    assert undisturbed[1] == "Skipped steps: 4, 5, 6, 7, 9, 10, 11, 12, 14, 15."
    assert skipped == "Skipped steps: 4, 5, 6, 7, 9, 11, 12, 13, 14."


def test_what_is_kept_is_part_of_the_plan() -> None:
    spec = find_model("wan2.1-t2v-14b")
    plain, cached = (
        denoising_bytes(
            spec, Clip.of(spec, GenerationRequest(model=spec.id, step_cache=cache)), "bf16", "bf16"
        )
        for cache in ("off", "teacache")
    )
    assert cached - plain == 2 * (21 * 30 * 52) * 5120 * 2


def test_each_model_has_the_figures_of_the_nearest_one_published() -> None:
    families = {
        "demo": "",
        "wan2.1-t2v-1.3b": "t2v-1.3b",
        "wan2.1-t2v-14b": "t2v-14b",
        "wan2.1-i2v-14b-480p": "i2v-14b-480p",
        "wan2.1-i2v-14b-720p": "i2v-14b-720p",
        "wan2.1-flf2v-14b-720p": "i2v-14b-720p",
        "wan2.1-vace-1.3b": "t2v-1.3b",
    }
    assert {name: family_of(find_model(name)) for name in families} == families
