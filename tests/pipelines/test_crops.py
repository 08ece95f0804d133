"""A part of an input: the same, bit for bit, as a file that was cut to these pixels before."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests import tiny
from tests.media.making import ffmpeg
from tests.pipelines.conditioning_jobs import asked_of, ignore, random_frames
from tests.pipelines.test_camera import CAMERA
from tests.pipelines.test_vace_whole import VACE
from tests.tiny_image import CONTROL_REFERENCE, FLF2V, I2V, write_image_model
from wan_core.catalog import MODELS, ModelSpec, validate
from wan_core.catalog.community import RECAM_TASKS
from wan_core.catalog.fun import CAMERA_TASKS, REFERENCE_TASKS
from wan_core.catalog.parts import FIRST_AND_LAST, IMAGE
from wan_core.catalog.vace import VACE_TASKS
from wan_core.engine import Engine
from wan_core.media.read import read_video
from wan_core.pipelines.conditioning.kept import kept_pixels
from wan_core.pipelines.conditioning.table import build_conditioning
from wan_core.pipelines.conditioning.types import ConditioningJob
from wan_core.pipelines.latents import load_latents
from wan_core.pipelines.settling import settle
from wan_core.schema import GenerationRequest, InvalidRequest, Settings

WIDTH, HEIGHT, FRAMES = 96, 64, 9
WIDE, TALL = (0.125, 0.25, 0.875, 0.75), (0.25, 0.125, 0.75, 1.0)  # 72x32 and 48x56 pixels
PIXELS = {WIDE: (12, 16, 84, 48), TALL: (24, 8, 72, 64)}

WAYS = [(match, fit) for match in (True, False) for fit in ("crop", "fit", "stretch")]
Values = dict[str, Any]


@pytest.fixture(scope="module")
def specs(tiny_spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelSpec]:
    """A tiny model for each way in which media are read."""
    folder = tmp_path_factory.mktemp("models")
    seeing = {
        "first": (I2V, {"i2v": IMAGE}),
        "both": (FLF2V, {"flf2v": FIRST_AND_LAST}),
        "control": (CONTROL_REFERENCE, REFERENCE_TASKS),
        "camera": (CAMERA, CAMERA_TASKS),
    }
    made = {"tiny": tiny_spec}
    for name, (dit, inputs) in seeing.items():
        made[name] = write_image_model(tiny_spec, folder / name, dit, inputs)
    recam = dataclasses.replace(tiny.DIT, camera_path_dim=12)
    for name, dit, inputs in (("vace", VACE, VACE_TASKS), ("recam", recam, RECAM_TASKS)):
        made[name] = dataclasses.replace(tiny.write_variant(tiny_spec, folder / name, dit), inputs=inputs)
    return {name: dataclasses.replace(spec, id=name) for name, spec in made.items()}


@pytest.fixture
def engine(specs: dict[str, ModelSpec], settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Engine:
    for spec in specs.values():
        monkeypatch.setitem(MODELS, spec.id, spec)
    return Engine(settings)


Keep = Callable[..., str]


@pytest.fixture
def keep(engine: Engine, tmp_path: Path) -> Keep:
    """Keeps frames without loss, or a part of them; one is a picture."""

    def kept(frames: np.ndarray, part: tuple[float, ...] | None = None) -> str:
        left, top, right, bottom = PIXELS.get(part, (0, 0, WIDTH, HEIGHT))
        frames = np.ascontiguousarray(frames[..., top:bottom, left:right, :])
        if frames.ndim == 3:
            Image.fromarray(frames).save(tmp_path / "it.png")
            return engine.inputs.keep(tmp_path / "it.png")
        (tmp_path / "it.rgb").write_bytes(frames.tobytes())
        size = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{right - left}x{bottom - top}", "-r", "8")
        exact = ("-c:v", "ffv1", "-pix_fmt", "bgr0")
        ffmpeg(*size, "-i", tmp_path / "it.rgb", *exact, tmp_path / "it.mkv")
        name = engine.inputs.keep(tmp_path / "it.mkv")
        assert np.array_equal(read_video(engine.inputs.path(name)).frames, frames)
        return name

    return kept


def picture(seed: int = 0) -> np.ndarray:
    return random_frames(1, WIDTH, HEIGHT, seed)[0]


def clip(seed: int = 0) -> np.ndarray:
    return random_frames(FRAMES, WIDTH, HEIGHT, seed)


def request(model: str, task: str, **values: object) -> GenerationRequest:
    given = {"width": 64, "height": 48, "num_frames": FRAMES, "fps": 8, "num_inference_steps": 2}
    made = asked_of(model, task, **{**given, "scheduler": "euler", **values})
    validate(made)
    return made


def seen(engine: Engine, asked: GenerationRequest) -> dict[str, Any]:
    """The size, all that the model reads, and what is kept of the pixels."""
    spec = MODELS[asked.model]
    settled, _ = settle(asked, spec, engine.inputs)
    job = ConditioningJob(engine.manager, spec, settled, engine.inputs, ignore)
    found: dict[str, Any] = {"size": (settled.width, settled.height, settled.num_frames)}
    _spread("read", build_conditioning(job), found)
    _spread("kept", kept_pixels(job), found)
    return found


def _spread(name: str, value: Any, found: dict[str, Any]) -> None:
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            _spread(f"{name}.{field.name}", getattr(value, field.name), found)
    else:
        found[name] = torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, other[name]), name
        else:
            assert value == other[name], name


def differs(one: dict[str, Any], other: dict[str, Any]) -> bool:
    try:
        assert_same(one, other)
    except AssertionError:
        return True
    return False


def first_frame(keep: Keep) -> tuple[str, str, Values, Values]:
    whole = {"image": keep(picture()), "crops": {"image": WIDE}}
    return "first", "i2v", whole, {"image": keep(picture(), WIDE)}


def two_parts_of_one_file(keep: Keep) -> tuple[str, str, Values, Values]:
    name = keep(picture())
    whole = {"image": name, "last_image": name, "crops": {"image": TALL, "last_image": WIDE}}
    return "both", "flf2v", whole, {"image": keep(picture(), TALL), "last_image": keep(picture(), WIDE)}


def video_and_mask(keep: Keep) -> tuple[str, str, Values, Values]:
    whole = {"video": keep(clip()), "mask": keep(picture(1)), "crops": {"video": WIDE}}
    return "tiny", "v2v", whole, {"video": keep(clip(), WIDE), "mask": keep(picture(1), WIDE)}


def context(keep: Keep) -> tuple[str, str, Values, Values]:
    files = {"video": clip(), "mask": clip(1), "image": picture(2), "last_image": picture(3)}
    parts = {"video": WIDE, "mask": WIDE, "image": TALL, "last_image": None}
    same = {"references": (keep(picture(4)),)}
    whole = {name: keep(frames) for name, frames in files.items()}
    cut = {name: keep(frames, parts[name]) for name, frames in files.items()}
    return "vace", "control", {**whole, **same, "crops": {"video": WIDE, "image": TALL}}, {**cut, **same}


def followed_video(keep: Keep) -> tuple[str, str, Values, Values]:
    same = {"references": (keep(picture(4)),), "preprocess": "grey"}
    whole = {"video": keep(clip()), "image": keep(picture(2)), "crops": "video=0.125,0.25,0.875,0.75"}
    cut = {"video": keep(clip(), WIDE), "image": keep(picture(2))}
    return "control", "control", {**whole, **same}, {**cut, **same}


def camera_from_picture(keep: Keep) -> tuple[str, str, Values, Values]:
    whole = {"image": keep(picture()), "crops": {"image": TALL}}
    return "camera", "control", whole, {"image": keep(picture(), TALL)}


MAIN = [first_frame, two_parts_of_one_file, video_and_mask, context]


@pytest.mark.parametrize("case", [*MAIN, followed_video, camera_from_picture])
@pytest.mark.parametrize(("match", "fit"), WAYS)
def test_a_part_is_a_file_that_was_cut_before(
    engine: Engine, keep: Keep, case: Callable[[Keep], tuple[str, str, Values, Values]], match: bool, fit: str
) -> None:
    model, task, whole, cut = case(keep)
    way = {"match_input": match, "fit": fit}
    expected = seen(engine, request(model, task, **cut, **way))
    assert_same(seen(engine, request(model, task, **whole, **way)), expected)
    assert differs(seen(engine, request(model, task, **{**whole, "crops": None}, **way)), expected)


@pytest.mark.parametrize("case", MAIN)
def test_the_whole_way_is_that_of_a_cut_file(engine: Engine, keep: Keep, case: Callable[..., Any]) -> None:
    model, task, *both = case(keep)
    latents, videos = [], []
    for number, values in enumerate(both):
        result = engine.generate(request(model, task, **values), ignore, f"job{number}")
        latents.append(load_latents(engine.latents_path(f"job{number}"))[0])
        videos.append(read_video(result.video).frames)
    assert torch.equal(*latents)
    assert np.array_equal(*videos)
    engine.generate(request(model, task, **{**both[0], "crops": None}), ignore, "job0")
    again, _ = load_latents(engine.latents_path("job0"))  # those of the part are of no use
    assert again.shape != latents[0].shape or not torch.equal(again, latents[0])


@pytest.mark.parametrize("fit", ["crop", "fit", "stretch"])
@pytest.mark.parametrize(
    "mask",
    [
        {"mask_builder": "region", "region": (0.25, 0.25, 0.75, 0.75)},
        {"mask_builder": "outpaint", "outpaint": (0.5, 0.0, 0.0, 0.25)},
        {"mask_builder": "frames", "kept_frames": (0, -1)},
        {"mask_builder": "before", "kept_frames": (5,)},
        {"mask_builder": "after", "kept_frames": (5,)},
        {"preprocess": "grey", "video_start": 0.25},
    ],
)
def test_whatever_is_built_on_a_video_sees_its_part(
    engine: Engine, keep: Keep, mask: Values, fit: str
) -> None:
    whole = request("vace", "control", video=keep(clip()), crops={"video": WIDE}, fit=fit, **mask)
    cut = request("vace", "control", video=keep(clip(), WIDE), fit=fit, **mask)
    assert_same(seen(engine, whole), seen(engine, cut))


@pytest.mark.parametrize("fit", ["crop", "fit", "stretch"])
def test_a_scene_is_rendered_again_from_a_part(engine: Engine, keep: Keep, fit: str) -> None:
    same = {"camera_path": "zoom-in", "fit": fit}
    whole = request("recam", "control", video=keep(clip()), crops={"video": TALL}, **same)
    assert_same(
        seen(engine, whole), seen(engine, request("recam", "control", video=keep(clip(), TALL), **same))
    )


def test_the_size_follows_the_part(engine: Engine, keep: Keep) -> None:
    name = keep(picture())
    for part, size in ((None, (64, 32)), (WIDE, (80, 32)), (TALL, (48, 48))):
        asked = request("first", "i2v", image=name, crops={"image": part})
        settled, _ = settle(asked, MODELS["first"], engine.inputs)
        assert (settled.width, settled.height) == size
        again, _ = settle(settled, MODELS["first"], engine.inputs)
        assert again == settled
        asked = asked.model_copy(update={"match_input": False})
        settled, _ = settle(asked, MODELS["first"], engine.inputs)
        assert (settled.width, settled.height) == (64, 48)


def test_a_picture_is_turned_before_it_is_cut(engine: Engine, keep: Keep, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    lying = np.rot90(picture())  # so that it is shown as ``picture``
    Image.fromarray(np.ascontiguousarray(lying)).save(tmp_path / "turned.png", exif=exif)
    turned = request("first", "i2v", image=engine.inputs.keep(tmp_path / "turned.png"), crops={"image": WIDE})
    assert_same(seen(engine, turned), seen(engine, request("first", "i2v", image=keep(picture(), WIDE))))


def test_all_of_a_picture_is_no_part_of_it() -> None:
    plain = request("demo-image", "i2v", image="0" * 32 + ".png")
    for whole in ({"image": (0, 0, 1, 1)}, "image=0,0,1,1", {"image": None}, {}, ""):
        assert request("demo-image", "i2v", image="0" * 32 + ".png", crops=whole) == plain


def test_a_part_of_what_is_not_given_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        request("demo-vace", "i2v", image="0" * 32 + ".png", crops={"last_image": WIDE})
    assert str(refused.value) == (
        "crops: last_image is not given, so no part of it can be used. "
        "Give last_image, or leave its part out."
    )
    with pytest.raises(InvalidRequest, match=r"crops: Demo .* does not take it for this task"):
        request("demo", "t2v", crops={"image": WIDE})


def test_what_is_joined_goes_on_from_all_of_the_video() -> None:
    name = "0" * 32 + ".mp4"
    with pytest.raises(InvalidRequest, match="crops: a part of the video cannot be joined behind all of it"):
        request(
            "demo-vace", "control", video=name, continues=name, mask_builder="after", crops={"video": WIDE}
        )


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ((0.0, 0.0, 0.1, 0.5), "the part of image has 10x32 pixels. Choose one of at least 16x16."),
        ((0.0, 0.0, 1.0, 0.03), "the part of image has 96x2 pixels. Choose one of at least 16x16."),
    ],
)
def test_a_part_is_as_large_as_a_file_must_be(
    engine: Engine, keep: Keep, part: tuple[float, ...], words: str
) -> None:
    asked = request("first", "i2v", image=keep(picture()), crops={"image": part})
    with pytest.raises(InvalidRequest) as refused:
        settle(asked, MODELS["first"], engine.inputs)
    assert str(refused.value) == f"crops: {words}"


def test_a_part_is_no_narrower_than_a_file_may_be(engine: Engine, tmp_path: Path) -> None:
    Image.fromarray(random_frames(1, 400, 40)[0]).save(tmp_path / "wide.png")
    asked = request("first", "i2v", image=engine.inputs.keep(tmp_path / "wide.png"), crops="image=0,0,1,0.5")
    with pytest.raises(
        InvalidRequest, match=r"has 400x20 pixels. Choose one with sides of at most 10 to 1\."
    ):
        settle(asked, MODELS["first"], engine.inputs)
