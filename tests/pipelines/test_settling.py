"""What a clip takes over from the one that it continues."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.pipelines.conditioning_jobs import asked_of
from wan_core.catalog import MODELS, ModelSpec, TaskInputs
from wan_core.media.inputs import InputStore
from wan_core.media.write import write_video
from wan_core.pipelines.settling import settle
from wan_core.schema import InvalidRequest


@pytest.fixture
def spec(tiny_spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    spec = dataclasses.replace(tiny_spec, inputs={"t2v": TaskInputs(optional=("continues",))})
    monkeypatch.setitem(MODELS, spec.id, spec)
    return spec


def kept_clip(inputs: InputStore, folder: Path, width: int, height: int, fps: float) -> str:
    write_video([np.full((4, height, width, 3), 90, np.uint8)], folder / "clip.mp4", fps, 30, {})
    return inputs.keep(folder / "clip.mp4")


def test_it_has_the_size_and_rate_of_what_it_continues(spec, inputs, tmp_path) -> None:
    name = kept_clip(inputs, tmp_path, 48, 32, 12)
    settled, _ = settle(asked_of("tiny", "t2v", continues=name), spec, inputs)
    assert (settled.width, settled.height, settled.fps) == (48, 32, 12)


@pytest.mark.parametrize(
    ("size", "fps", "words"),
    [
        ((50, 32), 12, "continues: its size 50x32 is not in multiples of 16"),
        ((48, 32), 90, "continues: it has 90 frames a second"),
    ],
)
def test_what_cannot_be_continued_is_refused(spec, inputs, tmp_path, size, fps, words: str) -> None:
    name = kept_clip(inputs, tmp_path, *size, fps)
    with pytest.raises(InvalidRequest, match=words):
        settle(asked_of("tiny", "t2v", continues=name), spec, inputs)
