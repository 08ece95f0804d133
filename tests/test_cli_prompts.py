"""Presets, styles and wildcards on the command line, down to the file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.prompts.language_models import serve_endpoint
from wan_core.cli import main
from wan_core.media.metadata import read_request
from wan_core.prompts.enhancer_settings import KeptEnhancer
from wan_core.prompts.presets import PresetStore
from wan_core.schema import GenerationRequest

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    store = PresetStore(home / "presets")
    request = GenerationRequest(model="tiny", num_inference_steps=3, guidance_scale=1.0, scheduler="euler")
    store.save("t2v", "quick", request)
    store.save_style("Neon", "{prompt}, neon light", "{prompt}, daylight")
    (home / "wildcards").mkdir()
    (home / "wildcards" / "shape.txt").write_text("circle\nstar\n")
    return home


def generate(home: Path, *options: str) -> int:
    return main(["generate", "--home", str(home), "--device", "cpu", "--offline", *options])


def test_a_preset_a_style_and_a_wildcard_reach_the_file(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    options = ["--preset", "quick", "--style", "neon", "--scheduler", "unipc", "--seed", "4"]
    assert generate(home, *options, "--prompt", "a {red|blue} __shape__", "--output", str(target)) == 0
    request = read_request(target)
    assert re.fullmatch("a (red|blue) (circle|star), neon light", request.prompt)
    assert request.negative_prompt.endswith("daylight")
    assert (request.model, request.num_inference_steps, request.guidance_scale) == ("tiny", 3, 1.0)
    assert request.scheduler == "unipc"  # what is given stands above the preset


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--preset", "slow"], "preset: there is no 'slow'. There are: t2v/quick."),
        (["--preset", "quick", "--style", "Rococo"], "style: there is no 'Rococo'. There are: Cinematic"),
        (["--preset", "quick", "--prompt", "a __colour__ cat"], "there is no wildcard file for __colour__"),
    ],
)
def test_what_is_not_there_is_bad_input(home: Path, capsys, options: list[str], complaint: str) -> None:
    assert generate(home, "--prompt", "x", *options) == 2
    assert complaint in capsys.readouterr().err


def test_presets_are_listed_written_and_taken_in(home: Path, tmp_path: Path, capsys) -> None:
    file, other = tmp_path / "all.json", tmp_path / "other"
    assert main(["presets", "--home", str(home)]) == 0
    printed = capsys.readouterr().out
    assert "preset  t2v/quick\n" in printed and "style   Neon: {prompt}, neon light\n" in printed
    assert main(["presets", "export", str(file), "--home", str(home)]) == 0
    assert main(["presets", "import", str(file), "--home", str(other)]) == 0
    assert capsys.readouterr().out == "1 presets and 1 styles are here now.\n"
    assert PresetStore(other / "presets").names("t2v") == ["quick"]
    assert main(["presets", "import", "--home", str(other)]) == 2
    file.write_bytes(b"\xff")
    assert main(["presets", "import", str(file), "--home", str(other)]) == 2


def test_an_idea_is_written_out_by_whom_the_settings_say(home: Path, capsys) -> None:
    assert main(["enhance", "a fox", "--home", str(home)]) == 1
    assert "Nothing is set to write prompts out" in capsys.readouterr().err
    with serve_endpoint() as endpoint:
        values = {"kind": "endpoint", "url": endpoint.url, "endpoint_model": "tiny"}
        KeptEnhancer(home).change(values)
        assert main(["enhance", "a fox", "--with-picture", "--home", str(home)]) == 0
    assert capsys.readouterr().out == f"{endpoint.text}\n"
    assert "given picture" in endpoint.asked[0][2]["messages"][0]["content"]
