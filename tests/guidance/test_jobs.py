"""Guidance, noise levels and parts of a run, asked for in requests of the tiny model."""

from __future__ import annotations

import argparse
import dataclasses
import math
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from wan_core.catalog import MODELS, ModelSpec, resolve, validate, with_files
from wan_core.cli_request import add_request_options, read_request
from wan_core.engine import Engine, ignore
from wan_core.lora.presets import PRESETS, preset_for
from wan_core.manager.plan_work import Clip
from wan_core.media.inputs import InputStore
from wan_core.media.write import write_video
from wan_core.pipelines.latents import load_latents
from wan_core.pipelines.steps import plan_steps
from wan_core.recipes import as_command
from wan_core.schedulers import make_scheduler
from wan_core.schema import GenerationRequest, InvalidRequest, Settings
from wan_core.schema.guidance import GuidanceOptions

STEPS = 4
CHANGES: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "sigmas": ({}, {"sigmas": (1.0, 0.7, 0.4, 0.1)}),
    "end_step": ({}, {"end_step": 3}),
    "guidance_scales": ({}, {"guidance_scales": (7, 2)}),
    "guidance_scale_end": ({}, {"guidance_scale_end": 1.5}),
    "guidance_easing": ({"guidance_scale_end": 1.5}, {"guidance_easing": "ease-in"}),
    "guidance_start": ({}, {"guidance_start": 0.25}),
    "guidance_end": ({}, {"guidance_end": 0.5}),
    "cfg_zero": ({}, {"cfg_zero": True}),
    "zero_init_steps": ({}, {"zero_init_steps": 1}),
    "skip_blocks": ({}, {"skip_blocks": (1,)}),
    "skip_mode": ({"skip_blocks": (1,)}, {"skip_mode": "third"}),
    "skip_scale": ({"skip_blocks": (1,), "skip_mode": "third"}, {"skip_scale": 1.0}),
    "skip_start": ({"skip_blocks": (1,)}, {"skip_start": 0.5}),
    "skip_end": ({"skip_blocks": (1,)}, {"skip_end": 0.5}),
    "nag_scale": ({}, {"nag_scale": 11.0}),
    "nag_tau": ({"nag_scale": 11.0}, {"nag_tau": 1.0}),
    "nag_alpha": ({"nag_scale": 11.0}, {"nag_alpha": 0.5}),
    "enhance_video": ({}, {"enhance_video": 8.0}),
    "enhance_start": ({"enhance_video": 8.0}, {"enhance_start": 0.5}),
    "enhance_end": ({"enhance_video": 8.0}, {"enhance_end": 0.5}),
    "fresca_low": ({}, {"fresca_low": 0.5}),
    "fresca_high": ({}, {"fresca_high": 1.5}),
    "fresca_cutoff": ({"fresca_high": 1.5}, {"fresca_cutoff": 0.0}),
    "riflex": ({"num_frames": 33, "num_inference_steps": 2}, {"riflex": 1}),
}
"""Field -> what it counts with, and another value of it."""


@pytest.fixture
def engine(settings: Settings, tiny: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setitem(MODELS, "tiny", dataclasses.replace(tiny, max_frames=33))
    return Engine(settings)


def asked(**values: object) -> GenerationRequest:
    given = {"model": "tiny", "prompt": "a red circle", "seed": 1, "num_inference_steps": STEPS}
    return GenerationRequest(**{**given, **values})


def made(engine: Engine, request: GenerationRequest, job_id: str) -> tuple[Tensor, tuple[str, ...]]:
    result = engine.generate(request, ignore, job_id)
    return load_latents(engine.latents_path(job_id))[0], result.warnings


def test_every_field_but_that_of_a_video_is_tried_here() -> None:
    assert set(CHANGES) == set(GuidanceOptions.model_fields) - {"start_step"}


def test_every_field_changes_the_result(engine: Engine) -> None:
    bases: dict[str, Tensor] = {}
    for name, (base, change) in CHANGES.items():
        key = repr(base)
        if key not in bases:
            bases[key] = made(engine, asked(**base), f"base-{len(bases)}")[0]
        found, warnings = made(engine, asked(**{**base, **change}), name)
        assert (found - bases[key]).abs().max() > 1e-4, name
        assert not any("changed nothing" in warning for warning in warnings), name


def test_what_cannot_do_anything_says_so(engine: Engine) -> None:
    idle = {"cfg_zero": True, "skip_blocks": (1,), "fresca_high": 2.0}
    plain, _ = made(engine, asked(guidance_scale=1), "plain")
    found, said = made(engine, asked(guidance_scale=1, riflex=1, **idle), "idle")
    assert torch.equal(found, plain)
    assert [sentence.split(" changed nothing")[0] for sentence in said] == [
        "CFG-Zero*",
        "Skipping layers",
        "FreSca",
        "RIFLEx",
    ]
    picture = asked(task="t2i", enhance_video=3.0)
    assert any("a single frame has no others" in told for told in made(engine, picture, "picture")[1])


def test_nag_reads_the_negative_prompt_without_guidance(engine: Engine) -> None:
    at_one = {"guidance_scale": 1.0, "nag_scale": 11.0}
    found = [
        made(engine, asked(**at_one, negative_prompt=words), str(number))[0]
        for number, words in enumerate(("low quality", "a red circle grows"))
    ]
    assert not torch.equal(*found)


# ---- noise levels and parts of a run --------------------------------------------------------


def planned(**values: object) -> list[float]:
    request = resolve(asked(**values))
    return plan_steps(request, torch.Generator()).sigmas


def test_levels_are_taken_as_they_are_and_count_the_steps(tiny: ModelSpec) -> None:
    assert planned(sigmas=(1, 0.5, 0.25, 0)) == [1, 0.5, 0.25, 0]
    assert resolve(asked(sigmas=(1, 0.5, 0.25))).num_inference_steps == 3
    assert resolve(asked(sigmas=())).sigmas is None
    again = resolve(resolve(asked(sigmas=(1, 0.5))))
    assert (again.sigmas, again.num_inference_steps) == ((1, 0.5), 2)


def test_a_run_may_end_early_and_a_video_begin_late(tiny: ModelSpec) -> None:
    whole = planned()
    assert planned(end_step=2) == [*whole[:2], 0.0]
    assert planned(end_step=9) == whole
    video = {"task": "v2v", "video": f"{'0' * 32}.mp4", "strength": 1.0}
    assert planned(**video, start_step=2) == whole[2:]
    assert planned(**video, start_step=1, end_step=3) == [*whole[1:3], 0.0]
    halved = {**video, "strength": 0.5, "strength_mode": "steps"}
    assert planned(**halved, start_step=1) == whole[3:]
    assert planned(**halved, start_step=3) == whole[3:]  # one step remains
    assert planned(**{**video, "strength": 0.5}, sigmas=(1, 0.8, 0.6, 0.4)) == [0.6, 0.4, 0.0]
    assert planned(**{**video, "strength": 0.0}) == [0.0]


def test_a_late_beginning_stays_closer_to_the_video(
    settings: Settings, engine: Engine, tmp_path: Path
) -> None:
    write_video([np.full((5, 32, 32, 3), 90, np.uint8)], tmp_path / "clip.mp4", 8, 0, {})
    clip = InputStore(settings.inputs_dir).keep(tmp_path / "clip.mp4")
    video = {"task": "v2v", "video": clip, "strength": 1.0}
    kept, _ = made(engine, asked(**{**video, "strength": 0.0}), "kept")
    ways = [
        (made(engine, asked(**video, start_step=step), f"late-{step}")[0] - kept).square().mean().item()
        for step in (0, 2, 3)
    ]
    assert ways[0] > ways[1] > ways[2] > 0


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"sigmas": (1, 0.5, 0.5)}, "sigmas", "0.5 is not below the level before, 0.5"),
        ({"start_step": 1}, "start_step", "only a video that is changed can be begun later"),
        ({"zero_init_steps": 4}, "zero_init_steps", "4 leaves none of 4 steps"),
        (
            {"guidance_start": 0.5, "guidance_end": 0.5},
            "guidance_end",
            "0.5 is not after the beginning at 0.5",
        ),
        ({"guidance_scales": (4,), "guidance_scale_end": 2}, "guidance_scale_end", "given already"),
        ({"skip_blocks": (2,)}, "skip_blocks", "Tiny has no block 2"),
        ({"riflex": 3}, "riflex", "Tiny has no wave 3 over time"),
    ],
)
def test_what_cannot_be_done_is_refused(
    tiny: ModelSpec, values: dict[str, object], field: str, words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words) as refusal:
        validate(asked(**values))
    assert refusal.value.field == field


@pytest.mark.parametrize("sigmas", [(1.5, 0.5), (0.5, -0.1), (1.0, "x")])
def test_levels_out_of_bounds_are_refused_by_name(sigmas: tuple[object, ...]) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        GenerationRequest.parse({"sigmas": sigmas})
    assert refusal.value.field == "sigmas"


# ---- the command line, and weights made for few steps ----------------------------------------


def test_the_command_line_asks_for_all_of_it_and_recipes_say_it(settings: Settings, tiny: ModelSpec) -> None:
    def parsed(words: list[str]) -> GenerationRequest:
        parser = argparse.ArgumentParser()
        parser.add_argument("--home")
        add_request_options(parser)
        parser.set_defaults(output=None)
        return read_request(parser.parse_args(words), InputStore(settings.inputs_dir))

    words = "--model tiny --prompt x --sigmas 1 0.5 --guidance-scales 6 4 --cfg-zero --skip-blocks 0 1"
    words += " --nag-scale 11 --skip-mode third --riflex 1 --guidance-easing ease-out --scheduler er_sde"
    request = parsed(words.split())
    assert (request.sigmas, request.guidance_scales, request.skip_blocks) == ((1, 0.5), (6, 4), (0, 1))
    assert (request.cfg_zero, request.nag_scale, request.scheduler) == (True, 11.0, "er_sde")
    command = shlex.split(as_command(request, settings, str))
    given = command[command.index("generate") + 1 :]
    assert parsed(given) == request


def test_memory_is_planned_for_the_passes_that_are_made(tiny: ModelSpec) -> None:
    def passes(**values: object) -> int:
        return Clip.of(tiny, asked(**values)).passes

    third = {"skip_blocks": (1,), "skip_mode": "third"}
    assert passes() == 2
    assert passes(guidance_scale=1) == passes(guidance_scales=(1.0,)) == 1
    assert passes(guidance_scale=1, guidance_scale_end=2) == 2
    assert passes(**third) == 3
    assert passes(guidance_scale=1, **third) == 2


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("rCM_Wan2.1_T2V_1.3B_480p.pt", "rcm"),
        ("FastWan2.1-T2V-1.3B/diffusion_pytorch_model.safetensors", "fastwan"),
        ("self_forcing_dmd.safetensors", "self-forcing"),
        ("wan2.1_t2v_14b_causvid.safetensors", "causvid-14b"),
        ("Wan2.1-T2V-14B-StepDistill-CfgDistill-Lightx2v/distill_model.safetensors", "lightx2v"),
        ("wan2.1_t2v_14B_bf16.safetensors", None),
    ],
)
def test_weights_for_few_steps_are_sampled_as_they_were_made_for(file: str, key: str | None) -> None:
    assert preset_for(file, "model") == key
    spec = with_files(MODELS["wan2.1-t2v-1.3b"], (file,))
    plain = MODELS["wan2.1-t2v-1.3b"].defaults
    if key is None:
        assert spec.defaults == plain
        return
    row, own = PRESETS[key], spec.defaults
    assert (own.num_inference_steps, own.guidance_scale, own.scheduler) == (
        row.num_inference_steps,
        1.0,
        row.scheduler,
    )
    assert row.sigmas is None or len(row.sigmas) == row.num_inference_steps
    assert (own.width, own.negative_prompt) == (plain.width, plain.negative_prompt)


def test_a_models_own_levels_give_way_to_other_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    model = "wan2.1-t2v-1.3b@FastWan2.1-T2V-1.3B.safetensors"
    own = resolve(GenerationRequest(model=model, prompt="x"))
    assert (own.sigmas, own.scheduler, own.guidance_scale) == ((1.0, 0.757, 0.522), "lcm", 1.0)
    assert resolve(GenerationRequest(model=model, prompt="x", num_inference_steps=3)).sigmas == own.sigmas
    assert resolve(GenerationRequest(model=model, prompt="x", num_inference_steps=8)).sigmas is None
    other = resolve(GenerationRequest(model=model, prompt="x", scheduler="euler"))
    assert other.scheduler == "euler"


def test_levels_of_few_step_weights_are_those_that_they_were_trained_on() -> None:
    rcm = PRESETS["rcm"].sigmas
    assert rcm[0] == pytest.approx(80 / 81)
    for level, angle in zip(rcm[1:], (1.5, 1.4, 1.0), strict=True):
        assert level == pytest.approx(math.tan(angle) / (1 + math.tan(angle)))
    row = PRESETS["self-forcing"]
    levels = make_scheduler(row.scheduler, row.num_inference_steps, row.shift).sigmas
    assert levels == pytest.approx([1, 15 / 16, 5 / 6, 5 / 8, 0])
    timesteps = make_scheduler("euler", 9, 1.0, levels=PRESETS["causvid-14b"].sigmas).timesteps
    assert timesteps == [999, 934, 862, 756, 603, 410, 250, 140, 74]
