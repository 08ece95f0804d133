"""Phantom: references on white, the three passes, and the whole way on a tiny model."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from tests.pipelines.conditioning_jobs import asked_of, ignore
from wan_core.catalog import MODELS, ModelSpec, Role, validate
from wan_core.catalog.community import PHANTOM_TASKS, ROWS
from wan_core.engine import Engine
from wan_core.manager.model_manager import ModelManager
from wan_core.media.inputs import InputStore
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.dit.model import WanDiT
from wan_core.pipelines.conditioning.phantom import build_phantom, letterbox, phantom_conditioner
from wan_core.pipelines.conditioning.types import ConditioningJob
from wan_core.pipelines.encoding_media import to_pixels
from wan_core.pipelines.guidance import Guidance, guided_velocity
from wan_core.pipelines.latents import load_latents
from wan_core.pipelines.passes import PassRunner
from wan_core.pipelines.prompt_encoding import PromptEmbeds
from wan_core.schema import InvalidRequest, Settings


def noise_picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("given", "box"),
    [  # given width and height; left, top, width and height of the picture in 32x16
        ((64, 32), (0, 0, 32, 16)),
        ((90, 30), (0, 3, 32, 10)),  # 32 / 3 = 10.67, cut
        ((30, 90), (13, 0, 5, 16)),  # 16 / 3 = 5.33, cut; of 27 columns 13 are left
        ((100, 1), (0, 7, 32, 1)),  # never nothing
    ],
)
def test_references_stand_whole_on_white(given: tuple[int, int], box: tuple[int, int, int, int]) -> None:
    picture = np.full((given[1], given[0], 3), 7, np.uint8)
    boxed = letterbox(picture, 32, 16)
    left, top, width, height = box
    expected = np.full((16, 32, 3), 255, np.uint8)
    expected[top : top + height, left : left + width] = 7
    np.testing.assert_array_equal(boxed, expected)


@pytest.mark.parametrize("size", [(57, 23), (23, 57), (33, 33)])
def test_references_are_resized_as_phantom_does(size: tuple[int, int]) -> None:
    picture = Image.fromarray(noise_picture(*size))
    ratio = size[0] / size[1]
    wide = ratio > 48 / 32
    small = picture.resize((48, int(48 / ratio)) if wide else (int(32 * ratio), 32), Image.LANCZOS)
    across, down = 48 - small.width, 32 - small.height
    border = (across // 2, down // 2, across - across // 2, down - down // 2)
    expected = np.asarray(ImageOps.expand(small, border, fill=(255, 255, 255)))
    np.testing.assert_array_equal(letterbox(np.asarray(picture), 48, 32), expected)


def test_what_the_passes_see() -> None:
    references = [torch.full((1, 16, 1, 2, 3), value) for value in (1.0, 2.0, 3.0)]
    conditioning = build_phantom(references)
    seen, bare = conditioning.dit.frame_latents, conditioning.bare.frame_latents
    assert seen.shape == bare.shape == (1, 16, 3, 2, 3)
    assert seen[0, 5, :, 1, 1].tolist() == [1, 2, 3]
    assert not bare.any()
    assert conditioning.null is None  # the pass with the negative prompt sees the references, too
    assert conditioning.front_frames == 0


class Passes(nn.Module):
    """Velocities c, i and u by what a pass sees, and a record of the passes."""

    def __init__(self, prompt: Tensor, velocities: dict[str, Tensor]) -> None:
        super().__init__()
        self.prompt, self.velocities, self.run = prompt, velocities, []

    def forward(self, latents: Tensor, timestep: Tensor, embeds: Tensor, seen: DiTConditioning) -> Tensor:
        prompted = "c" if torch.equal(embeds, self.prompt) else "i"
        name = prompted if seen.frame_latents.any() else "u" if prompted == "i" else "?"
        self.run.append(name)
        return self.velocities[name]


def test_three_passes_are_guided_as_phantom_guides_them() -> None:
    velocities = {name: torch.randn(1, 16, 2, 4, 4, dtype=torch.float64).float() for name in "ciu"}
    prompts = PromptEmbeds(torch.ones(1, 3, 8), torch.zeros(1, 2, 8))
    model = Passes(prompts.positive, velocities)
    conditioning = build_phantom([torch.ones(1, 16, 1, 4, 4)])
    latents, timestep = torch.zeros(1, 16, 2, 4, 4), torch.tensor([500])
    found = guided_velocity(PassRunner(model), latents, timestep, prompts, conditioning, Guidance(7.5, 5.0))
    c, i, u = (velocities[name].double() for name in "ciu")
    torch.testing.assert_close(found.double(), u + 5.0 * (i - u) + 7.5 * (c - i), rtol=1e-5, atol=1e-5)
    assert sorted(model.run) == ["c", "i", "u"]


def test_references_move_the_velocity_as_frames_after_the_clip(
    tiny_spec: ModelSpec, settings: Settings
) -> None:
    manager = ModelManager(settings)
    conditioning = build_phantom([torch.randn(1, 16, 1, 4, 4) for _ in range(2)])
    latents, timestep, prompt = torch.randn(1, 16, 2, 4, 4), torch.tensor([700]), torch.randn(1, 5, 32)
    with manager.use(tiny_spec, Role.TRANSFORMER, ignore) as dit, torch.inference_mode():
        assert isinstance(dit, WanDiT)
        seen = dit(latents, timestep, prompt, conditioning.dit)
        whole = torch.cat([latents, conditioning.dit.frame_latents], dim=2)
        torch.testing.assert_close(seen, dit(whole, timestep, prompt)[:, :, :2], rtol=1e-5, atol=1e-5)
        bare = dit(latents, timestep, prompt, conditioning.bare)
        assert (seen - bare).abs().max() > 1e-3
        assert (bare - dit(latents, timestep, prompt)).abs().max() > 1e-3  # frames of zeros are not nothing


@pytest.fixture
def phantom(tiny_spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    spec = dataclasses.replace(tiny_spec, id="tiny-phantom", inputs=PHANTOM_TASKS)
    monkeypatch.setitem(MODELS, spec.id, spec)
    return spec


def keep(inputs: InputStore, folder: Path, picture: np.ndarray) -> str:
    Image.fromarray(picture).save(folder / "picture.png")
    return inputs.keep(folder / "picture.png")


request = partial(asked_of, "tiny-phantom", "control")


def test_each_reference_is_encoded_as_a_picture_of_its_own(
    phantom: ModelSpec, settings: Settings, inputs: InputStore, tmp_path: Path
) -> None:
    pictures = [noise_picture(40, 20), noise_picture(20, 50, seed=1)]
    names = [keep(inputs, tmp_path, picture) for picture in pictures]
    manager = ModelManager(settings)
    asked = request(references=names, width=48, height=32)
    conditioning = phantom_conditioner(ConditioningJob(manager, phantom, asked, inputs, ignore))
    with manager.use(phantom, Role.VAE, ignore) as vae, torch.inference_mode():
        expected = [vae.encode(to_pixels(letterbox(picture, 48, 32)[None])) for picture in pictures]
    torch.testing.assert_close(conditioning.dit.frame_latents, torch.cat(expected, 2), rtol=1e-4, atol=1e-4)


def test_both_guidances_reach_the_clip(
    phantom: ModelSpec, settings: Settings, inputs: InputStore, tmp_path: Path
) -> None:
    names = [keep(inputs, tmp_path, noise_picture(40, 20))]
    engine = Engine(settings)

    def made(job_id: str, **values: object) -> Tensor:
        engine.generate(request(references=names, num_inference_steps=2, **values), ignore, job_id)
        return load_latents(engine.latents_path(job_id))[0]

    usual = made("usual")
    assert usual.shape == (1, 16, 2, 4, 4)
    assert torch.equal(usual, made("five", reference_guidance_scale=5.0))
    assert not torch.allclose(usual, made("two", reference_guidance_scale=2.0), atol=1e-3)
    assert not torch.allclose(usual, made("text", guidance_scale=2.0), atol=1e-3)
    alone = made("alone", guidance_scale=1.0)
    assert not torch.allclose(
        alone, made("bare", guidance_scale=1.0, reference_guidance_scale=1.0), atol=1e-3
    )


def test_more_references_than_can_be_followed_are_refused(phantom: ModelSpec) -> None:
    names = [f"{n:032x}.png" for n in range(5)]
    validate(request(references=names[:4]))
    with pytest.raises(InvalidRequest, match=r"references: 5 pictures are more than Tiny can .* up to 4\."):
        validate(request(references=names))


def test_references_are_required(phantom: ModelSpec) -> None:
    with pytest.raises(InvalidRequest, match="references: Tiny needs it and it is missing"):
        validate(request())


def test_the_rows_take_what_phantom_lacks_from_the_official_model() -> None:
    small = MODELS["wan2.1-t2v-1.3b"]
    rows = {row.id: row for row in ROWS}
    for name, official in (("phantom-1.3b", small), ("phantom-14b", MODELS["wan2.1-t2v-14b"])):
        row = rows[name]
        assert row.dit == official.dit
        assert row.weights[Role.TRANSFORMER].repo == ""  # the row's own
        for part in (row.weights[Role.VAE], row.weights[Role.TEXT_ENCODER], row.tokenizer):
            assert (part.repo, part.revision) == (small.repo, small.revision)
        assert (row.defaults.guidance_scale, row.defaults.shift) == (7.5, 5.0)
