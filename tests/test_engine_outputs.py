"""What a job writes besides a plain video: pictures, and clips that continue others."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from wan_core.catalog import MODELS, Role, TaskInputs, find_model
from wan_core.engine import Engine
from wan_core.media.metadata import read_request
from wan_core.media.read import read_image, read_video
from wan_core.pipelines.latents import load_latents
from wan_core.schema import GenerationRequest, ProgressEvent, Settings

pytestmark = pytest.mark.usefixtures("tiny")


def request(**values: object) -> GenerationRequest:
    return GenerationRequest(model="tiny", prompt="a red circle", **{"seed": 1, **values})


def ignore(event: ProgressEvent) -> None:
    """An ``emit`` that nobody listens to."""


@pytest.fixture
def engine(settings: Settings) -> Engine:
    return Engine(settings)


def test_text_to_image_leaves_a_picture_with_its_request(engine: Engine) -> None:
    asked = request(task="t2i", image_format="webp")
    result = engine.generate(asked, ignore, "picture")
    assert (result.video.suffix, result.request.num_frames) == (".webp", 1)
    assert read_image(result.video).shape == (32, 32, 3)
    assert read_request(result.video) == result.request
    assert result.thumbnail.name == f"{result.video.stem}.poster.webp"
    assert read_image(result.thumbnail).shape == (32, 32, 3)


def test_a_picture_is_rounded_not_truncated(engine: Engine) -> None:
    result = engine.generate(request(task="t2i"), ignore, "picture")
    latents, _ = load_latents(engine.latents_path("picture"))
    with engine.manager.use(find_model("tiny"), Role.VAE, ignore) as vae, torch.inference_mode():
        exact = (vae.decode(latents)[0, :, 0].permute(1, 2, 0) + 1) * 127.5
    assert np.array_equal(read_image(result.video), (exact + 0.5).to(torch.uint8).numpy())


def test_a_clip_that_continues_another_is_one_file_with_it(engine: Engine) -> None:
    first = engine.generate(request(seed=1), ignore, "first")
    name = engine.inputs.keep(first.video)
    alone = engine.generate(request(seed=2, crf=0), ignore, "second").video
    both = dataclasses.replace(MODELS["tiny"], inputs={"t2v": TaskInputs(optional=("continues",))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "tiny", both)
        joined = engine.generate(request(seed=2, crf=0, continues=name), ignore, "joined")
    frames = read_video(joined.video).frames
    assert frames.shape == (5 + 5 - 1, 32, 32, 3)
    before, after = read_video(first.video).frames, read_video(alone).frames
    assert np.abs(frames[:5].astype(int) - before).mean() < 2
    assert np.abs(frames[5:].astype(int) - after[1:]).mean() < 2
