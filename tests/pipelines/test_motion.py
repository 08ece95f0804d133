"""Speed control: what the small model says reaches the blocks, and nothing without a bucket."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.models.randomise import randomise
from wan_core.catalog import MODELS, ModelSpec, Role, WeightFiles, resolve
from wan_core.catalog.community import ROWS, SPEED_TASKS
from wan_core.engine import Engine
from wan_core.manager.model_manager import ModelManager
from wan_core.media.inputs import InputStore
from wan_core.models.dit.config import MotionConfig
from wan_core.models.dit.motion import MotionController
from wan_core.pipelines.conditioning.motion import motion_conditioner
from wan_core.pipelines.conditioning.types import Conditioning, ConditioningJob
from wan_core.pipelines.latents import load_latents
from wan_core.schema import GenerationRequest, Settings


def ignore(event: object) -> None:
    """An emit that nobody hears."""


@pytest.fixture
def speed(tiny_spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """The tiny model with a random motion controller beside it."""
    folder = tmp_path / "speed"
    folder.mkdir()
    for path in tiny_spec.folder.iterdir():
        (folder / path.name).symlink_to(path)
    save_file(
        randomise(MotionController(MotionConfig(tiny_spec.dit.dim))).state_dict(),
        folder / "motion.safetensors",
    )
    weights = {**tiny_spec.weights, Role.MOTION_CONTROLLER: WeightFiles(("motion.safetensors",), 0)}
    spec = dataclasses.replace(tiny_spec, id="tiny-speed", inputs=SPEED_TASKS, weights=weights, folder=folder)
    monkeypatch.setitem(MODELS, spec.id, spec)
    return spec


def request(bucket: int | None) -> GenerationRequest:
    given = {"model": "tiny-speed", "prompt": "a red circle", "seed": 1, "motion_bucket": bucket}
    return resolve(GenerationRequest.parse({**given, "num_inference_steps": 2}))


def condition(spec: ModelSpec, settings: Settings, bucket: int | None) -> Conditioning:
    inputs = InputStore(settings.inputs_dir)
    return motion_conditioner(ConditioningJob(ModelManager(settings), spec, request(bucket), inputs, ignore))


def test_the_controller_speaks_by_hand(speed: ModelSpec, settings: Settings) -> None:
    conditioning = condition(speed, settings, 37)
    angles = 370 * 10000.0 ** -(np.arange(128) / 128)
    x = np.concatenate([np.cos(angles), np.sin(angles)])
    state = randomise(MotionController(MotionConfig(speed.dit.dim))).double().state_dict()
    for layer in (0, 2, 4):
        x = state[f"linear.{layer}.weight"].numpy() @ x + state[f"linear.{layer}.bias"].numpy()
        x = x if layer == 4 else x / (1 + np.exp(-x))
    expected = torch.from_numpy(x).reshape(1, 6, speed.dit.dim).float()
    torch.testing.assert_close(conditioning.dit.motion, expected, rtol=1e-4, atol=1e-4)
    assert conditioning.null is None  # both passes read it


def test_without_a_bucket_the_model_is_left_as_it_is(speed: ModelSpec, settings: Settings) -> None:
    assert condition(speed, settings, None) == Conditioning()


def test_the_bucket_changes_the_clip(speed: ModelSpec, settings: Settings) -> None:
    engine = Engine(settings)
    made = []
    for bucket in (None, 0, 100):
        engine.generate(request(bucket), ignore, f"bucket-{bucket}")
        made.append(load_latents(engine.latents_path(f"bucket-{bucket}"))[0])
    assert min((a - b).abs().max() for a, b in ((made[0], made[1]), (made[1], made[2]))) > 1e-3


def test_the_row_is_the_official_model_and_a_controller() -> None:
    row, small = next(row for row in ROWS if row.id == "speedcontrol-1.3b"), MODELS["wan2.1-t2v-1.3b"]
    assert (row.repo, row.revision, row.dit) == (small.repo, small.revision, small.dit)
    assert row.weights.keys() - small.weights.keys() == {Role.MOTION_CONTROLLER}
    assert row.inputs["t2v"].taken == ("motion_bucket",)
