"""Video combine on the built-in demo model, end to end: every format, then everything at once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.media.making import told
from wan_core.engine import Engine
from wan_core.manager.restoring import restore
from wan_core.media.exporting import export, last_frame
from wan_core.media.read import probe, read_video
from wan_core.schema import GenerationRequest, Settings
from wan_core.schema.output import SUFFIXES


def small(**values: object) -> GenerationRequest:
    sizes = {"num_frames": 9, "num_inference_steps": 2, "guidance_scale": 1.0, "seed": 1, "preview_every": 0}
    return GenerationRequest(model="demo", prompt="a red circle moving right", **{**sizes, **values})


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    home = tmp_path_factory.mktemp("home")
    return Engine(Settings(home=home, device="cpu", precision="fp32", offline=True))


@pytest.fixture(scope="module")
def exact(engine: Engine) -> np.ndarray:
    """The decoded frames, from PNGs."""
    folder = engine.generate(small(video_format="png-folder"), job_id="exact").video
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))])


@pytest.mark.parametrize("format", SUFFIXES)
def test_each_format_has_the_models_frames_and_its_recipe(
    engine: Engine, exact: np.ndarray, tmp_path: Path, format: str
) -> None:
    result = engine.generate(small(video_format=format, crf=0))
    assert exact.shape == (9, 64, 64, 3)
    difference = np.abs(last_frame(result.video).astype(int) - exact[-1])
    assert difference.mean() <= {"mp4": 4, "webm": 4, "gif": 8}.get(format, 0)
    assert restore(result.video, engine.settings).request == result.request
    again = export(result.video, "mp4", tmp_path)
    assert (probe(again).frames, round(probe(again).fps)) == (9, 8)


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1"])
def test_each_codec(engine: Engine, exact: np.ndarray, codec: str) -> None:
    video = engine.generate(small(codec=codec, crf=8)).video
    assert f"Video: {codec}" in told(video)
    assert np.abs(read_video(video).frames.astype(int) - exact).mean() < 6


def test_everything_at_once(engine: Engine, exact: np.ndarray, tmp_path: Path) -> None:
    asked = small(
        interpolate_fps=24,
        upscale=1.5,
        ping_pong=True,
        video_format="webm",
        sidecar=True,
        filename="{prompt}",
    )
    result = engine.generate(asked)
    clip = read_video(result.video)
    assert clip.frames.shape == (25 + 23, 96, 96, 3)
    assert clip.fps == pytest.approx(24, rel=0.001)  # WebM tells milliseconds
    again = export(result.video, "mp4", tmp_path)
    assert (probe(again).frames, probe(again).fps) == (48, 24)
    turned = np.abs(clip.frames[1:24].astype(int) - clip.frames[47:24:-1]).mean()
    assert turned < 3
    assert result.video.name == "a red circle moving right.webm"
    assert json.loads(result.sidecar.read_text())["wan_studio_request"]["seed"] == 1
    enlarged = np.asarray(Image.fromarray(exact[0]).resize((96, 96), Image.Resampling.LANCZOS))
    assert np.abs(clip.frames[0].astype(int) - enlarged).mean() < 6


def test_a_recipe_made_again_gives_the_same_file(engine: Engine, tmp_path: Path) -> None:
    first = engine.generate(small()).video
    request = restore(first, engine.settings).request
    assert engine.generate(request).video.read_bytes() == first.read_bytes()
