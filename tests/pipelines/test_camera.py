"""Fun-Control-Camera: what the model reads, and the whole way on a tiny one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.pipelines.conditioning_jobs import asked_of, ignore
from tests.tiny_image import I2V, write_image_model
from wan_core.catalog import MODELS, ModelSpec, Role
from wan_core.catalog.fun import CAMERA_TASKS
from wan_core.engine import Engine
from wan_core.manager.model_manager import ModelManager
from wan_core.media.inputs import InputStore
from wan_core.pipelines.camera_rays import camera_channels, move_camera
from wan_core.pipelines.conditioning.camera import build_camera, camera_conditioner, place_first
from wan_core.pipelines.conditioning.types import Conditioning, ConditioningJob
from wan_core.pipelines.encoding_media import to_pixels
from wan_core.pipelines.latents import load_latents
from wan_core.schema import GenerationRequest, Settings

CAMERA = dataclasses.replace(I2V, in_dim=32, camera_dim=24)


@pytest.fixture(scope="module")
def camera_spec(tiny_spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return write_image_model(tiny_spec, tmp_path_factory.mktemp("camera") / "tiny", CAMERA, CAMERA_TASKS)


@pytest.fixture
def model(camera_spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    monkeypatch.setitem(MODELS, camera_spec.id, camera_spec)
    return camera_spec


PICTURE = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8).repeat(8, 0).repeat(8, 1)


@pytest.fixture
def picture(inputs: InputStore, tmp_path: Path) -> str:
    """A picture of 48x32, kept."""
    Image.fromarray(PICTURE).save(tmp_path / "picture.png")
    return inputs.keep(tmp_path / "picture.png")


def request(picture: str, **values: object) -> GenerationRequest:
    return asked_of("tiny-camera", "control", image=picture, **{"width": 48, "height": 32, **values})


def test_the_picture_is_in_the_first_latent_frame_and_zeros_follow() -> None:
    latents = torch.randn(1, 16, 1, 4, 6)
    placed = place_first(latents, 3)
    assert placed.shape == (1, 16, 3, 4, 6)
    assert torch.equal(placed[:, :, :1], latents)
    assert not placed[:, :, 1:].any()


def test_outside_its_part_of_the_steps_the_camera_is_zero_and_the_picture_stays() -> None:
    channels, embeds, camera = (
        torch.randn(1, 16, 1, 2, 2),
        torch.randn(1, 5, 24),
        torch.randn(1, 24, 1, 16, 16),
    )
    idle = build_camera(channels, embeds, camera, partly=True).idle
    assert not idle.camera.any()
    assert idle.camera.shape == camera.shape
    assert (idle.channel_latents is channels, idle.image_embeds is embeds) == (True, True)
    assert build_camera(channels, embeds, camera, partly=False).idle is None


def condition(model: ModelSpec, settings: Settings, asked: GenerationRequest) -> Conditioning:
    inputs = InputStore(settings.inputs_dir)
    return camera_conditioner(ConditioningJob(ModelManager(settings), model, asked, inputs, ignore))


def test_what_the_model_reads(model: ModelSpec, settings: Settings, picture: str) -> None:
    asked = request(picture, camera_motion="left-up", camera_speed=0.1, num_frames=9)
    dit = condition(model, settings, asked).dit
    with ModelManager(settings).use(model, Role.VAE, ignore) as vae, torch.inference_mode():
        expected = vae.encode(to_pixels(PICTURE[None]))
    torch.testing.assert_close(dit.channel_latents[:, :, :1], expected, rtol=1e-4, atol=1e-4)
    assert dit.channel_latents.shape == (1, 16, 3, 4, 6)
    assert dit.image_embeds.shape == (1, 5, 24)
    rays = camera_channels(move_camera("left-up", 0.1, 9, shear=False), 48, 32)
    assert torch.equal(dit.camera, torch.from_numpy(rays)[None])
    dit.check(model.dit, torch.zeros(1, 16, 3, 4, 6))


def test_the_switch_shears_as_diffsynth_does(model: ModelSpec, settings: Settings, picture: str) -> None:
    asked = request(picture, camera_motion="right", camera_rotation=True)
    rays = camera_channels(move_camera("right", 1 / 54, 5, shear=True), 48, 32)
    assert torch.equal(condition(model, settings, asked).dit.camera, torch.from_numpy(rays)[None])


def test_a_file_replaces_the_motion(
    model: ModelSpec, settings: Settings, inputs: InputStore, picture: str, tmp_path: Path
) -> None:
    lens = "0.532139961 0.946026558 0.5 0.5 0 0"
    rows = [f"{n} {lens} 1 0 0 {n * 0.1} 0 1 0 0 0 0 1 0" for n in range(7)]
    (tmp_path / "poses.txt").write_text("a title\n" + "\n".join(rows))
    name = inputs.keep(tmp_path / "poses.txt")
    found = condition(model, settings, request(picture, camera_motion="in", camera_poses=name)).dit.camera
    moved = condition(model, settings, request(picture, camera_motion="left", camera_speed=0.1)).dit.camera
    torch.testing.assert_close(found, moved, rtol=0, atol=1e-6)


def test_without_motion_or_file_the_camera_stands_still(
    model: ModelSpec, settings: Settings, picture: str
) -> None:
    camera = condition(model, settings, request(picture)).dit.camera.reshape(6, 4, 2, 32, 48)
    assert not camera[:3].any()
    assert torch.equal(camera[3:, 0, 0], camera[3:, 3, 1])


def test_the_camera_moves_the_clip(model: ModelSpec, settings: Settings, picture: str) -> None:
    engine = Engine(settings)

    def made(job_id: str, **values: object) -> Tensor:
        engine.generate(request(picture, num_inference_steps=2, **values), ignore, job_id)
        return load_latents(engine.latents_path(job_id))[0]

    left = made("left", camera_motion="left", camera_speed=0.5)
    assert left.shape == (1, 16, 2, 4, 6)
    for other in (
        made("right", camera_motion="right", camera_speed=0.5),
        made("sheared", camera_motion="left", camera_speed=0.5, camera_rotation=True),
        made("partly", camera_motion="left", camera_speed=0.5, control_end=0.5),
    ):
        assert (left - other).abs().max() > 1e-3
