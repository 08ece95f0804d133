"""What a job writes besides a plain video: pictures, and clips that continue others."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.media.making import ffmpeg, told
from wan_core.catalog import MODELS, Role, TaskInputs, find_model
from wan_core.engine import Engine
from wan_core.manager.origins import transformer_files
from wan_core.media.audio import sound_of
from wan_core.media.metadata import FILES_KEY, read_metadata, read_request
from wan_core.media.read import probe, read_image, read_video
from wan_core.pipelines.latents import load_latents
from wan_core.schema import GenerationRequest, InvalidRequest, ProgressEvent, Settings

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


@pytest.mark.parametrize(
    ("format", "codec", "suffix"),
    [("webm", "auto", ".webm"), ("mp4", "av1", ".mp4"), ("gif", "auto", ".gif"), ("webp", "auto", ".webp")],
)
def test_a_request_chooses_its_format(engine: Engine, format: str, codec: str, suffix: str) -> None:
    asked = request(video_format=format, codec=codec, embed_metadata=True)
    result = engine.generate(asked, ignore, "job")
    assert (result.video.suffix, read_request(result.video)) == (suffix, result.request)
    if format != "webp":
        assert probe(result.video).frames == 5
    assert read_image(result.thumbnail).shape == (32, 32, 3)


def test_everything_at_once_is_done_in_order(engine: Engine) -> None:
    """5 frames at 8 per second -> 9 at 16 -> 16 with the way back, twice as large, named by the template."""
    asked = request(
        fps=8, interpolate_fps=16, upscale=2, ping_pong=True, filename="{model} {seed} {prompt}", sidecar=True
    )
    result = engine.generate(asked, ignore, "job")
    clip = read_video(result.video)
    assert (clip.frames.shape, clip.fps) == ((16, 64, 64, 3), 16)
    assert result.video.name == "tiny 1 a red circle.mp4"
    assert result.thumbnail.name == "tiny 1 a red circle.poster.webp"
    assert result.sidecar.name == "tiny 1 a red circle.json"
    assert read_request(result.sidecar) == read_request(result.video) == result.request
    again = engine.generate(asked, ignore, "job")
    assert again.video.name == "tiny 1 a red circle-2.mp4"


def test_frames_in_a_folder_are_a_result_too(engine: Engine) -> None:
    result = engine.generate(request(video_format="png-folder", filename="v1.0 {seed}"), ignore, "job")
    names = sorted(each.name for each in result.video.iterdir())
    assert names == [*(f"frame_{number:05}.png" for number in range(1, 6)), "settings.json"]
    assert (result.video.name, result.thumbnail.name) == ("v1.0 1", "v1.0 1.poster.webp")
    assert read_request(result.video) == result.request


def test_a_picture_can_be_enlarged_and_named(engine: Engine) -> None:
    result = engine.generate(request(task="t2i", upscale=2, filename="{task}"), ignore, "job")
    assert (read_image(result.video).shape, result.video.name) == ((64, 64, 3), "t2i.png")


def test_the_file_says_what_it_was_made_with(engine: Engine) -> None:
    result = engine.generate(request(), ignore, "job")
    (file,) = read_metadata(result.video)[FILES_KEY]["model"]
    (path,) = transformer_files(engine.manager.store, find_model("tiny"))
    data = path.read_bytes()
    assert file == {"name": path.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_nobody_is_told_who_does_not_want_it(engine: Engine) -> None:
    result = engine.generate(request(embed_metadata=False), ignore, "job")
    assert (read_metadata(result.video), result.sidecar) == ({}, None)
    assert not (engine.settings.home / "hashes.json").exists()


def test_only_beside_the_file(engine: Engine) -> None:
    result = engine.generate(request(embed_metadata=False, sidecar=True), ignore, "job")
    assert read_metadata(result.video) == {}
    assert read_request(result.sidecar) == result.request


def test_interpolation_that_does_nothing_is_said(engine: Engine) -> None:
    result = engine.generate(request(fps=16, interpolate_fps=12), ignore, "job")
    assert result.warnings[-1] == "The video has 16 frames a second already; none were added to reach 12."


def test_what_cannot_be_written_is_refused_before_the_first_step(engine: Engine) -> None:
    events: list[ProgressEvent] = []
    with pytest.raises(InvalidRequest, match="does not go into a WEBM file"):
        engine.generate(request(video_format="webm", codec="hevc"), events.append, "job")
    assert events == []


@pytest.mark.parametrize(("format", "codec"), [("mp4", "aac"), ("webm", "opus")])
def test_the_sound_of_the_video_that_is_continued_stays(
    engine: Engine, tmp_path: Path, format: str, codec: str
) -> None:
    source = tmp_path / "source.mp4"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=32x32:rate=8:duration=1"),
        *("-f", "lavfi", "-i", "sine=frequency=440:duration=1", "-c:a", "aac", "-shortest", source),
    )
    name = engine.inputs.keep(source)
    taking = dataclasses.replace(MODELS["tiny"], inputs={"t2v": TaskInputs(optional=("continues",))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "tiny", taking)
        asked = request(continues=name, video_format=format)
        joined = engine.generate(asked, ignore, "joined").video
        silent = engine.generate(asked.model_copy(update={"keep_audio": False}), ignore, "silent").video
        looped = engine.generate(asked.model_copy(update={"ping_pong": True}), ignore, "looped").video
    assert f"Audio: {codec}" in told(joined)
    assert probe(joined).frames == 8 + 5 - 1
    with sound_of(joined, 0, 10, tmp_path) as sound:
        samples = np.frombuffer(sound.read_bytes()[100:], np.int16)[::2]
    assert len(samples) / 48000 == pytest.approx(1.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(samples[8000:32000].astype(float)))
    assert np.argmax(spectrum) * 48000 / 24000 == pytest.approx(440, abs=3)
    assert "Audio" not in told(silent)
    assert "Audio" not in told(looped)
