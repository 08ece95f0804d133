"""The image encoder and the motion controller as parts of the manager."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.models.randomise import randomise
from tests.tiny_image import CLIP, I2V, write_image_model
from wan_core.catalog import ModelSpec, Role, WeightFiles
from wan_core.catalog.parts import IMAGE
from wan_core.manager.devices import choose_dtypes
from wan_core.manager.model_manager import ModelManager
from wan_core.models.dit.config import MotionConfig
from wan_core.models.dit.motion import MotionController
from wan_core.schema import ProgressEvent, Settings, WeightsError
from wan_core.schema.schemes import DeviceFacts


def ignore(event: ProgressEvent) -> None:
    pass


@pytest.fixture(scope="module")
def spec(tiny_spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return write_image_model(tiny_spec, tmp_path_factory.mktemp("image") / "tiny", I2V, {"i2v": IMAGE})


@pytest.mark.parametrize(
    ("precision", "expected"), [("bf16", torch.float16), ("fp16", torch.float16), ("fp32", torch.float32)]
)
def test_the_image_encoder_is_float16_unless_all_is_float32(precision, expected) -> None:
    dtypes = choose_dtypes(DeviceFacts("cuda", (8, 0)), precision)
    assert dtypes[Role.IMAGE_ENCODER] == expected
    assert dtypes[Role.MOTION_CONTROLLER] == torch.float32
    assert choose_dtypes(DeviceFacts("cpu"), "auto")[Role.IMAGE_ENCODER] == torch.float32


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_room_is_made_for_the_tensors_that_run(settings: Settings, spec: ModelSpec, precision) -> None:
    made = ModelManager(settings.model_copy(update={"precision": precision}))
    asked: list[int] = []
    made._make_host_room = asked.append
    with made.use(spec, Role.IMAGE_ENCODER, ignore) as encoder:
        pixels = torch.zeros(1, 3, CLIP.image_size, CLIP.image_size)
        assert encoder(pixels).shape == (1, CLIP.num_tokens, CLIP.dim)
    whole = (spec.folder / spec.weights[Role.IMAGE_ENCODER].files[0]).stat().st_size
    assert asked == [made.loaded()[Role.IMAGE_ENCODER]]
    assert asked[0] < whole * 2 // 3


def test_an_image_encoder_of_other_sizes_is_refused(settings: Settings, spec: ModelSpec) -> None:
    made = ModelManager(settings)
    other = replace(spec, image_encoder=replace(CLIP, num_layers=5))
    with (
        pytest.raises(WeightsError, match="not a CLIP image encoder with num_layers 5"),
        made.use(other, Role.IMAGE_ENCODER, ignore),
    ):
        pass


def test_the_motion_controller_stays_in_float32(settings: Settings, spec: ModelSpec, tmp_path: Path) -> None:
    tensors = randomise(MotionController(MotionConfig(dim=spec.dit.dim))).state_dict()
    save_file(tensors, tmp_path / "model.safetensors")
    steered = replace(
        spec,
        folder=tmp_path,
        weights={Role.MOTION_CONTROLLER: WeightFiles(("model.safetensors",), 0)},
        tokenizer=WeightFiles((), 0),
    )
    made = ModelManager(settings.model_copy(update={"precision": "bf16"}))
    with made.use(steered, Role.MOTION_CONTROLLER, ignore) as controller:
        assert {parameter.dtype for parameter in controller.parameters()} == {torch.float32}
        assert controller(torch.tensor([50.0])).shape == (1, 6, spec.dit.dim)
    wide = replace(steered, dit=replace(spec.dit, dim=96))
    made.unload()
    with (
        pytest.raises(WeightsError, match="not a motion controller with dim 96"),
        made.use(wide, Role.MOTION_CONTROLLER, ignore),
    ):
        pass
