"""Long videos from end to end: beyond a model's own length, with all that the built-in models are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from wan_core.catalog import resolve, validate
from wan_core.engine import Engine
from wan_core.media.read import read_video
from wan_core.media.write import write_image, write_video
from wan_core.models.dit.model import WanDiT
from wan_core.schema import Cancelled, GenerationRequest, InvalidRequest, ProgressEvent, Settings, Stage
from wan_core.schema.windows import WindowOptions

CONTINUED = {
    "model": "demo-image",
    "task": "i2v",
    "image": f"{'0' * 32}.png",
    "continues": f"{'0' * 32}.mp4",
}
FRAMES, WINDOW = 37, 5  # frames of the clip, latent frames of a window


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Latent frames of every call of a transformer."""
    lengths: list[int] = []
    embed = WanDiT.embed

    def noting(model: WanDiT, latents: Tensor, *others: object):
        lengths.append(latents.shape[2])
        return embed(model, latents, *others)

    monkeypatch.setattr(WanDiT, "embed", noting)
    return lengths


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(Settings(home=tmp_path, offline=True))


def made(engine: Engine, name: str, **fields: object) -> np.ndarray:
    values = {"prompt": "a red circle moving right", "seed": 1, "num_inference_steps": 2, "preview_every": 0}
    request = GenerationRequest.parse({**values, "num_frames": FRAMES, "windows": "static", **fields})
    return read_video(engine.generate(request, lambda event: None, name).video).frames


def picture(engine: Engine, tmp_path: Path, shade: int) -> str:
    path = tmp_path / f"{shade}.png"
    write_image(np.full((64, 64, 3), shade, np.uint8), path, "png", {})
    return engine.inputs.keep(path)


def clip(engine: Engine, tmp_path: Path) -> str:
    frames = np.random.default_rng(0).integers(0, 255, (FRAMES, 8, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    write_video(iter([frames]), tmp_path / "clip.mp4", 8, 0, {})
    return engine.inputs.keep(tmp_path / "clip.mp4")


def test_a_text_becomes_a_clip_beyond_the_limit_a_window_at_a_time(engine: Engine, seen: list[int]) -> None:
    frames = made(engine, "text")
    assert frames.shape == (FRAMES, 64, 64, 3)
    assert set(seen) == {WINDOW}
    other = made(engine, "moving", windows="uniform")
    assert (frames != other).mean() > 0.05


def test_a_loop_has_three_more_frames_and_no_first_one(engine: Engine, seen: list[int]) -> None:
    assert made(engine, "loop", windows="looped").shape[0] == FRAMES + 3
    assert made(engine, "short loop", windows="looped", num_frames=13).shape[0] == 16
    assert set(seen) == {WINDOW, 4}


def test_pictures_masks_and_references_go_through_windows(
    engine: Engine, seen: list[int], tmp_path: Path
) -> None:
    """Each model checks that what it reads has the shape of its latents."""
    first, last = picture(engine, tmp_path, 30), picture(engine, tmp_path, 220)
    video = clip(engine, tmp_path)
    begun = made(engine, "a", model="demo-image", task="i2v", image=first)
    anchored = made(engine, "b", model="demo-image", task="i2v", image=first, windows="static anchor=on")
    assert begun.shape == anchored.shape == (FRAMES, 64, 64, 3) and not np.array_equal(begun, anchored)
    ended = made(engine, "c", model="demo-image", task="flf2v", image=first, last_image=last)
    assert not np.array_equal(begun, ended)
    assert set(seen) == {WINDOW}
    seen.clear()
    followed = made(engine, "d", model="demo-vace", task="control", video=video, references=[first])
    assert followed.shape[0] == FRAMES and set(seen) == {WINDOW + 1}
    seen.clear()
    changed = made(engine, "e", task="v2v", video=video, strength=0.5)
    assert changed.shape[0] == FRAMES and set(seen) == {WINDOW}


def test_stopping_does_not_wait_for_the_step(engine: Engine, seen: list[int]) -> None:
    """37 frames are three windows; the model is called for one of them after the order to stop."""

    def emit(event: ProgressEvent) -> None:
        if event.stage is Stage.DENOISE and seen:
            raise Cancelled

    request = GenerationRequest.parse(
        {"prompt": "a", "num_frames": FRAMES, "windows": "static", "guidance_scale": 1.0}
    )
    with pytest.raises(Cancelled):
        engine.generate(request, emit, "stopped")
    assert len(seen) == 1


def test_a_step_is_told_of_once_it_is_done(engine: Engine) -> None:
    told: list[int] = []

    def emit(event: ProgressEvent) -> None:
        if event.stage is Stage.DENOISE:
            told.append(event.step)

    request = GenerationRequest.parse(
        {"prompt": "a", "num_frames": FRAMES, "windows": "static", "num_inference_steps": 3}
    )
    engine.generate(request, emit, "told")
    assert told == sorted(told) and set(told) == {0, 1, 2, 3}


def test_windows_that_reuse_nothing_say_so(engine: Engine) -> None:
    values = {"prompt": "a", "num_frames": FRAMES, "num_inference_steps": 13, "step_cache": "fast"}
    still, moving = (
        engine.generate(GenerationRequest.parse({**values, "windows": kind}), lambda event: None, kind)
        for kind in ("static", "uniform")
    )
    assert still.warnings[0].endswith("of 13 steps were computed.")
    assert moving.warnings == ("No step was skipped: its windows lie elsewhere in every step.",)


def test_a_request_takes_words_or_fields_and_keeps_fields() -> None:
    words = GenerationRequest.parse({"prompt": "a", "windows": "looped overlap=8"})
    fields = GenerationRequest.parse({"prompt": "a", "windows": {"schedule": "looped", "overlap": 8}})
    assert words == fields == GenerationRequest.model_validate_json(words.model_dump_json())
    assert resolve(words).windows == WindowOptions(schedule="looped", frames=17, overlap=8)
    assert GenerationRequest.parse({"prompt": "a", "windows": "off"}).windows is None
    assert resolve(words.model_copy(update={"task": "t2i"})).windows is None  # of a picture


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"num_frames": 49}, "longer than Demo"),
        ({"windows": "static frames=49"}, "a window of 49 frames is longer"),
        ({"windows": "looped", **CONTINUED}, "cannot be a loop"),
        ({"windows": "statik"}, "no schedule of windows"),
        ({"windows": {"frames": 18}}, "try 17 or 21"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        validate(GenerationRequest.parse({"prompt": "a", **fields}))
    validate(GenerationRequest.parse({"prompt": "a", "num_frames": 1025, "windows": "static"}))
