"""A whole VACE job: against a pipeline made of diffusers' parts, and what its knobs do."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import WanVACETransformer3DModel
from PIL import Image
from safetensors.torch import load_file

from tests import tiny
from tests.models.dit_oracle import fill_oracle, oracle_sizes
from tests.pipelines.test_against_oracle import GUIDANCE, NEGATIVE, PROMPT, SEED, SHIFT, STEPS, _encode
from wan_core.catalog import MODELS, ModelSpec, validate
from wan_core.catalog.vace import VACE_TASKS
from wan_core.engine import Engine
from wan_core.media.read import read_video
from wan_core.media.write import write_video
from wan_core.pipelines.conditioning.types import ConditioningJob
from wan_core.pipelines.conditioning.vace import vace_conditioner
from wan_core.pipelines.latents import load_latents
from wan_core.pipelines.settling import repeated_frames, settle
from wan_core.schema import GenerationRequest, InvalidRequest, Settings

VACE = dataclasses.replace(tiny.DIT, vace_in_dim=96, vace_layers=(0,))


@pytest.fixture(scope="module")
def vace_spec(tiny_spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    folder = tmp_path_factory.mktemp("models") / "tiny-vace"
    variant = tiny.write_variant(tiny_spec, folder, VACE, seed=9)
    return dataclasses.replace(variant, inputs=VACE_TASKS)


@pytest.fixture
def engine(vace_spec: ModelSpec, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setitem(MODELS, vace_spec.id, vace_spec)
    return Engine(settings)


@pytest.fixture
def media(engine: Engine, tmp_path: Path) -> dict[str, object]:
    """A video of 9 frames with a bright half, and a picture; kept."""
    frames = np.full((9, 32, 48, 3), 60, np.uint8)
    frames[:, :, 24:] = np.linspace(100, 220, 9, dtype=np.uint8)[:, None, None, None]
    write_video([frames], tmp_path / "clip.mp4", 8, 0, {})
    Image.fromarray(frames[4]).save(tmp_path / "picture.png")
    return {
        "video": engine.inputs.keep(tmp_path / "clip.mp4"),
        "references": (engine.inputs.keep(tmp_path / "picture.png"),),
    }


def request(**values: object) -> GenerationRequest:
    given = {
        "model": "tiny-vace",
        "task": "control",
        "prompt": PROMPT,
        "negative_prompt": NEGATIVE,
        "width": 48,
        "height": 32,
        "num_frames": 9,
        "num_inference_steps": STEPS,
        "guidance_scale": GUIDANCE,
        "shift": SHIFT,
        "scheduler": "euler",
        "seed": SEED,
        **values,
    }
    return GenerationRequest.parse(given)


def latents_of(engine: Engine, asked: GenerationRequest) -> torch.Tensor:
    result = engine.generate(asked, lambda event: None, "job")
    assert result.video.is_file()
    latents, _ = load_latents(engine.latents_path("job"))
    engine.latents_path("job").unlink()
    return latents


def _context(engine: Engine, asked: GenerationRequest) -> torch.Tensor:
    """What the conditioner makes; its layout is held to diffusers' in ``test_vace``."""
    spec = MODELS["tiny-vace"]
    settled = asked.model_copy(update={"fps": spec.defaults.fps})
    job = ConditioningJob(engine.manager, spec, settled, engine.inputs, lambda event: None)
    return vace_conditioner(job).dit.vace_latents


@torch.no_grad()
def _euler_loop(folder: Path, context: torch.Tensor, controlled: range, scale: float) -> torch.Tensor:
    transformer = fill_oracle(
        WanVACETransformer3DModel(**oracle_sizes(VACE), vace_in_channels=96, vace_layers=[0]),
        load_file(folder / tiny.DIT_FILE),
    )
    positive, negative = _encode(folder, PROMPT), _encode(folder, NEGATIVE)
    x = torch.randn(1, 16, context.shape[2], 4, 6, generator=torch.Generator().manual_seed(SEED))
    sigmas = [1 - i / STEPS for i in range(STEPS + 1)]
    sigmas = [SHIFT * s / (1 + (SHIFT - 1) * s) for s in sigmas]
    for step, (sigma, following) in enumerate(pairwise(sigmas)):
        timestep = torch.tensor([math.floor(1000 * sigma)])
        weight = torch.tensor([scale if step in controlled else 0.0])
        conditional, null = (
            transformer(
                x, timestep, text, control_hidden_states=context, control_hidden_states_scale=weight
            ).sample
            for text in (positive, negative)
        )
        x = x + (following - sigma) * (null + GUIDANCE * (conditional - null))
    return x[:, :, 1:]


@pytest.mark.parametrize(
    ("knobs", "controlled", "scale"),
    [
        ({}, range(STEPS), 1.0),
        ({"control_scale": 0.6, "control_start": 0.25, "control_end": 0.75}, range(1, 3), 0.6),
    ],
)
def test_a_whole_job_equals_the_independent_one(engine, media, knobs, controlled, scale) -> None:
    asked = request(**media, mask_builder="region", region=(0.5, 0, 1, 1), **knobs)
    validate(asked)
    latents = latents_of(engine, asked)
    context = _context(engine, asked)
    assert context.shape == (1, 96, 4, 4, 6)
    expected = _euler_loop(MODELS["tiny-vace"].folder, context, controlled, scale)
    assert latents.shape == expected.shape == (1, 16, 3, 4, 6)
    assert expected.std() > 0.5
    torch.testing.assert_close(latents, expected, rtol=1e-4, atol=1e-4)


def test_a_scale_of_0_ignores_the_control(engine, media) -> None:
    video = media["video"]
    ignored = latents_of(engine, request(video=video, control_scale=0.0))
    drawn = latents_of(engine, request(video=video, control_scale=0.0, preprocess="canny"))
    assert torch.equal(ignored, drawn)
    assert (latents_of(engine, request(video=video)) - ignored).abs().max() > 0.1
    assert (latents_of(engine, request(task="t2v")) - ignored).abs().max() > 0.1


def test_a_clip_grows_with_before_and_after(engine, media) -> None:
    for builder in ("before", "after"):
        asked = request(video=media["video"], mask_builder=builder, num_frames=13, kept_frames=(5,))
        assert latents_of(engine, asked).shape == (1, 16, 4, 4, 6)


def test_what_does_not_fit_is_refused_before_anything_loads(engine, media) -> None:
    with pytest.raises(InvalidRequest, match="region: the mask 'region' needs it and it is missing"):
        engine.generate(request(video=media["video"], mask_builder="region"), lambda event: None, "job")
    assert engine.manager.loaded() == {}


def test_a_settled_extension_says_how_many_frames_it_takes_over(engine, media, vace_spec) -> None:
    asked = request(video=media["video"], mask_builder="after", num_frames=17, fps=8)
    settled, _ = settle(asked, vace_spec, engine.inputs)
    assert (settled.num_frames, settled.kept_frames) == (17, (9,))
    assert repeated_frames(settled) == 9
    assert settle(settled, vace_spec, engine.inputs)[0] == settled
    half, _ = settle(asked.model_copy(update={"video_start": 0.5}), vace_spec, engine.inputs)
    assert half.kept_frames == (5,)
    assert repeated_frames(request(video=media["video"])) == 1


def test_a_size_that_follows_the_video_is_the_official_one(engine, media, vace_spec) -> None:
    asked = request(video=media["video"], width=64, height=64, match_input=True, fps=8)
    settled, _ = settle(asked, vace_spec, engine.inputs)  # the clip is 48x32, and is not enlarged
    assert (settled.width, settled.height, settled.match_input) == (48, 32, False)
    painted = {"mask_builder": "outpaint", "outpaint": (0.5, 0, 0.5, 0.3)}
    wider, _ = settle(asked.model_copy(update=painted), vace_spec, engine.inputs)  # as of 96x42
    assert (wider.width, wider.height) == (96, 32)


def test_frames_that_a_short_video_does_not_have_are_refused(engine, media, vace_spec) -> None:
    asked = request(video=media["video"], mask_builder="frames", kept_frames=(12,), num_frames=17, fps=8)
    validate(asked)
    with pytest.raises(InvalidRequest, match="kept_frames: there is no frame 12 among 9"):
        settle(asked, vace_spec, engine.inputs)


def test_a_single_picture_is_made(engine) -> None:
    result = engine.generate(request(task="t2i", num_frames=1), lambda event: None, "job")
    assert result.video.suffix == ".png"


def test_an_extension_is_joined_without_what_it_repeats(engine, media) -> None:
    video = media["video"]
    asked = request(video=video, continues=video, mask_builder="after", num_frames=13, kept_frames=(5,))
    result = engine.generate(asked, lambda event: None, "job")
    assert result.request.kept_frames == (5,)
    joined = read_video(result.video).frames
    assert joined.shape == (9 + 13 - 5, 32, 48, 3)
    before = read_video(engine.inputs.path(video)).frames
    assert np.abs(joined[:9].astype(int) - before).mean() < 8
