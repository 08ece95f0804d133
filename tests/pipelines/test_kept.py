"""What a mask keeps comes back pixel by pixel, and nothing else does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.pipelines.conditioning_jobs import Desk, random_frames
from wan_core.catalog import MODELS, ModelSpec
from wan_core.catalog.vace import VACE_TASKS
from wan_core.engine import Engine
from wan_core.media.read import read_video
from wan_core.pipelines.conditioning.kept import KeptPixels, kept_pixels, paste, soft_edge
from wan_core.schema import GenerationRequest, Settings

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def desk(tiny_spec: ModelSpec, settings: Settings, tmp_path: Path) -> Desk:
    return Desk(dataclasses.replace(tiny_spec, inputs={**tiny_spec.inputs, **VACE_TASKS}), settings, tmp_path)


def mask_of(right: slice) -> np.ndarray:
    mask = np.zeros((32, 48, 3), np.uint8)
    mask[:, right] = 255
    return mask


def test_the_edge_is_soft_on_the_kept_side_only() -> None:
    new = np.zeros((120, 200), bool)
    new[:, 100:] = True
    row = soft_edge(new)[60]
    assert (row[100:] == 1).all()
    assert (row[:98] == 0).all()  # a 60th of 120 pixels is 2
    assert 0 < row[98] < row[99] < 1


def test_pasting_leaves_what_is_new_and_returns_what_is_kept() -> None:
    made, kept = np.full((5, 32, 48, 3), 200, np.uint8), random_frames(5)
    new = np.zeros((5, 32, 48), bool)
    new[2:, :, 24:] = True
    pasted = np.concatenate(list(paste([made[:1], made[1:]], KeptPixels(kept, new))))
    assert np.array_equal(pasted[:2], kept[:2])
    assert np.array_equal(pasted[2:, :, :23], kept[2:, :, :23])
    assert (pasted[2:, :, 24:] == 200).all()


@pytest.mark.parametrize(
    ("task", "values", "where"),
    [
        ("v2v", {"mask": True}, np.s_[:, :, 24:]),
        ("control", {"mask": True}, np.s_[:, :, 24:]),
        ("control", {"mask_builder": "region", "region": (0.5, 0.0, 1.0, 1.0)}, np.s_[:, :, 24:]),
        ("control", {"mask_builder": "frames", "kept_frames": (0, -1)}, np.s_[1:-1]),
        ("control", {"mask_builder": "after", "kept_frames": (5,)}, np.s_[5:]),
    ],
)
def test_what_is_kept_is_what_the_mask_says(desk: Desk, task: str, values: dict, where: object) -> None:
    if "mask" in values:
        values = {**values, "mask": desk.picture(mask_of(slice(24, None)))}
    frames = random_frames(9)
    kept = kept_pixels(desk.job(task=task, video=desk.video(frames), **values))
    expected = np.zeros((9, 32, 48), bool)
    expected[where] = True
    assert np.array_equal(kept.new, expected)
    source = np.concatenate([frames[4:], frames[:4]]) if values.get("mask_builder") == "after" else frames
    difference = np.abs(kept.frames[~expected].astype(int) - source[~expected])
    assert difference.mean() < 6  # of H.264's colours


@pytest.mark.parametrize(
    ("task", "values"), [("v2v", {}), ("control", {}), ("control", {"mask": True, "keep_exact": False})]
)
def test_nothing_is_kept_without_a_mask_or_when_not_asked(desk: Desk, task: str, values: dict) -> None:
    if "mask" in values:
        values = {**values, "mask": desk.picture(mask_of(slice(24, None)))}
    assert kept_pixels(desk.job(task=task, video=desk.video(random_frames(9)), **values)) is None


def test_a_whole_job_keeps_what_the_mask_keeps(desk: Desk, settings: Settings) -> None:
    video, mask = desk.video(random_frames(9)), desk.picture(mask_of(slice(24, None)))
    source = read_video(desk.inputs.path(video)).frames.astype(float)
    values = {"model": "tiny", "prompt": "a", "seed": 1, "width": 48, "height": 32, "num_frames": 9, "crf": 0}
    asked = GenerationRequest(**values, task="v2v", video=video, mask=mask)
    assert MODELS["tiny"].inputs["v2v"].taken
    engine = Engine(settings)
    exact = read_video(engine.generate(asked).video).frames
    loose = read_video(engine.generate(asked.model_copy(update={"keep_exact": False})).video).frames
    assert np.abs(exact[:, :, :20] - source[:, :, :20]).mean() < 2
    assert np.abs(loose[:, :, :20] - source[:, :, :20]).mean() > 10
    assert np.abs(exact[:, :, 28:].astype(int) - loose[:, :, 28:]).mean() < 2
