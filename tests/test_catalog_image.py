"""Facts of the rows that begin from pictures or follow a control: sizes, defaults, files, inputs."""

from __future__ import annotations

import pytest
import torch

from wan_core.catalog import MODELS, OFFICIAL_NEGATIVE_PROMPT, Role, resolve, validate
from wan_core.catalog.fun import ROWS as FUN
from wan_core.catalog.image import ROWS as IMAGE
from wan_core.catalog.parts import CLIP, TOKENIZER, UMT5, VAE
from wan_core.models.clip.config import CLIPConfig
from wan_core.models.dit.checkpoint import infer_config
from wan_core.models.dit.conditioning import read_by
from wan_core.models.dit.model import WanDiT
from wan_core.schema import GenerationRequest, InvalidRequest

PICTURE, CLIP_NAME = "0" * 32 + ".png", "1" * 32 + ".mp4"

# Parameters of PAI's transformers, 16 bits each
FUN_PARAMETERS = {
    "1.3b-inp": 1_564_428_608,
    "14b-inp": 16_394_878_784,
    "v1.1-1.3b-inp": 1_564_428_608,
    "v1.1-14b-inp": 16_394_878_784,
    "1.3b-control": 1_564_502_336,
    "14b-control": 16_395_124_544,
    "v1.1-1.3b-control": 1_564_602_176,
    "v1.1-14b-control": 16_395_457_344,
    "v1.1-1.3b-control-camera": 1_616_313_152,
    "v1.1-14b-control-camera": 16_898_128_704,
}
_HEADER = 300_000  # bytes; more than any of their headers has


def test_all_rows_are_offered() -> None:
    assert {row.id for row in (*IMAGE, *FUN)} <= set(MODELS)
    assert {row.id for row in FUN} == {f"wan2.1-fun-{name}" for name in FUN_PARAMETERS}


@pytest.mark.parametrize("name", FUN_PARAMETERS)
def test_fun_transformers_have_the_parameters_of_their_files(name: str) -> None:
    row = MODELS[f"wan2.1-fun-{name}"]
    with torch.device("meta"):
        state = WanDiT(row.dit).state_dict()
    parameters = sum(tensor.numel() for tensor in state.values())
    assert parameters == FUN_PARAMETERS[name]
    assert infer_config({name: tuple(tensor.shape) for name, tensor in state.items()}) == row.dit
    assert 0 < row.weights[Role.TRANSFORMER].size - 2 * parameters < _HEADER
    assert row.repo.lower() == f"alibaba-pai/wan2.1-fun-{name}"


@pytest.mark.parametrize("row", [*IMAGE, *FUN], ids=lambda row: row.id)
def test_shared_parts_are_shared(row) -> None:
    assert row.tokenizer is TOKENIZER
    shared = (row.weights[Role.TEXT_ENCODER], row.weights[Role.VAE], row.weights[Role.IMAGE_ENCODER])
    assert shared == (UMT5, VAE, CLIP)
    assert row.image_encoder == CLIPConfig()
    assert row.dit.image_dim == 1280
    assert read_by(row.dit)["image_embeds"] == read_by(row.dit)["channel_latents"] == "required"
    assert row.licence == "Apache-2.0"
    assert (row.defaults.width, row.defaults.height) in row.sizes


@pytest.mark.parametrize(
    ("name", "steps", "shift", "size", "prefix"),
    [
        ("wan2.1-i2v-14b-480p", 40, 3.0, (832, 480), "镜头晃动，"),
        ("wan2.1-i2v-14b-720p", 40, 5.0, (1280, 720), "镜头晃动，"),
        ("wan2.1-flf2v-14b-720p", 50, 16.0, (1280, 720), "镜头切换，镜头晃动，"),
    ],
)
def test_official_defaults(name: str, steps: int, shift: float, size: tuple[int, int], prefix: str) -> None:
    defaults = MODELS[name].defaults
    asked = resolve(request(name, MODELS[name].tasks[0]))
    assert (asked.num_inference_steps, asked.shift, asked.guidance_scale) == (steps, shift, 5.0)
    assert (defaults.width, defaults.height, defaults.num_frames, defaults.fps) == (*size, 81, 16)
    assert defaults.negative_prompt == prefix + OFFICIAL_NEGATIVE_PROMPT
    assert defaults.negative_prompt.startswith(prefix + "色调艳丽")


@pytest.mark.parametrize(
    ("model", "small", "large"),
    [
        ("wan2.1-i2v-14b-480p", 3.0, 5.0),
        ("wan2.1-i2v-14b-720p", 3.0, 5.0),
        ("wan2.1-flf2v-14b-720p", 16.0, 16.0),
        ("wan2.1-vace-14b", 16.0, 16.0),
        ("wan2.1-t2v-14b", 5.0, 5.0),
    ],
)
def test_the_shift_depends_on_the_size_where_it_officially_does(
    model: str, small: float, large: float
) -> None:
    def shift(width: int, height: int, **values: object) -> float:
        task = MODELS[model].tasks[0]
        return resolve(request(model, task, width=width, height=height, **values)).shift

    assert {shift(832, 480), shift(480, 832), shift(624, 624), shift(544, 704)} == {small}
    assert {shift(1280, 720), shift(720, 1280), shift(960, 960), shift(848, 480)} == {large}
    assert {shift(832, 480, shift=7.0), shift(1280, 720, shift=7.0)} == {7.0}


def request(model: str, task: str, **values: object) -> GenerationRequest:
    return GenerationRequest.parse({"model": model, "task": task, "prompt": "a cat", **values})


def test_each_model_takes_what_it_reads() -> None:
    for asked in (
        request("wan2.1-i2v-14b-480p", "i2v", image=PICTURE),
        request("wan2.1-flf2v-14b-720p", "flf2v", image=PICTURE, last_image=PICTURE),
        request("wan2.1-fun-1.3b-inp", "flf2v", image=PICTURE, last_image=PICTURE),
        request("wan2.1-fun-1.3b-inp", "t2v"),
        request("wan2.1-fun-1.3b-control", "control", video=CLIP_NAME, image=PICTURE, control_end=0.5),
        request("wan2.1-fun-v1.1-14b-control", "control", video=CLIP_NAME, references=(PICTURE,)),
        request("wan2.1-fun-v1.1-14b-control-camera", "control", image=PICTURE, camera_motion="left"),
    ):
        validate(resolve(asked))


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (request("wan2.1-i2v-14b-480p", "i2v"), "image"),
        (request("wan2.1-i2v-14b-480p", "t2v"), "task"),
        (request("wan2.1-flf2v-14b-720p", "flf2v", image=PICTURE), "last_image"),
        (request("wan2.1-flf2v-14b-720p", "i2v", image=PICTURE), "task"),
        (
            request("wan2.1-flf2v-14b-720p", "flf2v", image=PICTURE, last_image=PICTURE, num_frames=1),
            "num_frames",
        ),
        (request("wan2.1-fun-1.3b-control", "control"), "video"),
        (
            request("wan2.1-fun-1.3b-control", "control", video=CLIP_NAME, references=(PICTURE,)),
            "references",
        ),
        (
            request("wan2.1-fun-v1.1-14b-control", "control", video=CLIP_NAME, references=(PICTURE,) * 2),
            "references",
        ),
        (request("wan2.1-fun-v1.1-1.3b-control-camera", "control", camera_motion="in"), "image"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_is_refused_by_its_field(asked: GenerationRequest, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        validate(resolve(asked))
    assert caught.value.field == field
