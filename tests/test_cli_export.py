"""Formats on the command line: asked for by a name, and of what is finished already."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wan_core.cli import main
from wan_core.media.metadata import read_request, request_metadata
from wan_core.media.read import probe, read_image
from wan_core.media.write import write_video
from wan_core.schema import GenerationRequest


@pytest.fixture
def video(tmp_path: Path) -> Path:
    frames = np.random.default_rng(0).integers(0, 255, (5, 32, 32, 3), np.uint8)
    metadata = request_metadata(GenerationRequest(prompt="a star", seed=3))
    write_video([frames], tmp_path / "clip.mp4", 8, 18, metadata)
    return tmp_path / "clip.mp4"


def test_export_leaves_a_new_file_beside_it(video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--ping-pong", "--upscale", "2", "--interpolate-fps", "16"]
    assert main(["export", str(video), "--format", "gif", *options]) == 0
    made = Path(capsys.readouterr().out.strip())
    facts = probe(made)
    assert (made.name, made.parent) == ("clip-2.gif", video.parent.resolve())
    assert (facts.frames, facts.width) == (16, 64)
    assert read_request(made).seed == 3


def test_the_outputs_name_says_the_format(video: Path, tmp_path: Path) -> None:
    for name in ("a.webm", "a.webp", "a.zip", "last.png"):
        assert main(["export", str(video), "--output", str(tmp_path / name)]) == 0
        assert read_request(tmp_path / name).prompt == "a star"
    assert read_image(tmp_path / "last.png").shape == (32, 32, 3)
    assert probe(tmp_path / "a.webm").frames == 5


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        ([], 2, "format: none is given. Choose one of mp4, "),
        (["--format", "webm", "--codec", "h264"], 2, "codec: H.264 does not go into a WEBM file. "),
        (["--format", "mp4", "--crf", "99"], 2, "crf: '99' is refused. "),
        (["--output", "a.avi"], 2, "format: none is given. "),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(
    video: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, sentence: str
) -> None:
    assert main(["export", str(video), *options]) == code
    assert capsys.readouterr().err.startswith(sentence)


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path / "none.mp4"), "--format", "gif"]) == 1
    assert capsys.readouterr().err.endswith("cannot be opened; check that it exists.\n")


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("options", "name"),
    [([], "a.webm"), ([], "a.gif"), (["--task", "t2v"], "a.webp"), (["--video-format", "png-folder"], "a")],
)
def test_generate_writes_what_the_name_says(tmp_path: Path, options: list[str], name: str) -> None:
    home = ["--home", str(tmp_path / "home"), "--device", "cpu", "--precision", "fp32", "--offline"]
    asked = ["--model", "tiny", "--prompt", "x", "--output", str(tmp_path / name)]
    assert main(["generate", *home, *asked, *options]) == 0
    made = read_request(tmp_path / name)
    assert made.task == "t2v"
    assert made.video_format == (Path(name).suffix[1:] or "png-folder")


def test_export_and_restore_need_no_torch() -> None:
    code = (
        "import sys, wan_core.media.exporting, wan_core.manager.restoring, wan_core.cli_export;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
