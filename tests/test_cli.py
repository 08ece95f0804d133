"""The command line: every field an option, one clear sentence for bad input, a file at the end."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.test_architecture import ROOT
from wan_core import cli
from wan_core.catalog import MODELS, ModelSpec
from wan_core.cli import TerminalProgress, main, progress_line
from wan_core.engine import Engine
from wan_core.manager.kept_settings import KeptSettings
from wan_core.manager.weights import WeightStore
from wan_core.media.metadata import read_request
from wan_core.media.read import read_image
from wan_core.media.write import write_video
from wan_core.schema import Cancelled, GenerationFailed, ProgressEvent, Settings, Stage, WeightsError, knobs

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def machine(tmp_path: Path) -> list[str]:
    """Options that keep a run to this folder and the CPU."""
    return ["--home", str(tmp_path / "home"), "--device", "cpu", "--offline"]


def generate(machine: list[str], *options: str) -> int:
    return main(["generate", "--model", "tiny", *machine, *options])


def test_generate_writes_the_file_and_says_where(machine, tmp_path, capsys) -> None:
    target = tmp_path / "new" / "猫.mp4"
    options = ["--prompt", "a red circle", "--seed", "1", "--num-frames", "9", "--no-embed-metadata"]
    assert generate(machine, *options, "--output", str(target)) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{target}\n"
    assert "seed 1;" in printed.err
    assert "denoise" in printed.err
    assert re.search(r"^text encoder  load +\d+\.\d s  peak +\d+\.\d\d GiB$", printed.err, re.MULTILINE)
    assert target.stat().st_size > 0


def test_options_reach_the_request(machine, tmp_path) -> None:
    target = tmp_path / "a.mp4"
    options = ["--prompt", "x", "--seed", "5", "--width", "48", "--guidance-scale", "1", "--shift", "7.5"]
    assert generate(machine, *options, "--scheduler", "euler", "--output", str(target)) == 0
    request = read_request(target)
    assert (request.seed, request.width, request.height) == (5, 48, 32)
    assert (request.guidance_scale, request.shift, request.scheduler) == (1.0, 7.5, "euler")


def test_without_output_the_file_goes_to_the_outputs_folder(machine, tmp_path, capsys) -> None:
    assert generate(machine, "--prompt", "x") == 0
    video = Path(capsys.readouterr().out.strip())
    assert video.parent == tmp_path / "home" / "outputs"
    assert video.is_file()


def test_decode_makes_the_same_file_from_saved_latents(machine, tmp_path) -> None:
    first, second = tmp_path / "1.mp4", tmp_path / "2.mp4"
    assert generate(machine, "--prompt", "x", "--seed", "1", "--output", str(first)) == 0
    (latents,) = (tmp_path / "home" / "latents").iterdir()
    assert main(["decode", str(latents), *machine, "--output", str(second)]) == 0
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--prompt", "x", "--num-frames", "6"], "num_frames: 6 is not 4n+1. Try 5 or 9."),
        (["--prompt", "x", "--num-frames", "many"], "num_frames: 'many' is refused."),
        (["--prompt", "x", "--width", "40"], "width: 40 is not a multiple of 16. Try 32 or 48."),
        (["--prompt", "x", "--guidance-scale", "nan"], "guidance_scale: 'nan' is refused."),
        (["--prompt", "x", "--scheduler", "magic"], "scheduler: 'magic' is refused."),
        (
            ["--prompt", "x", "--output", "a.avi"],
            "output: 'a.avi' is no name for this video. End it with .mp4.",
        ),
        (["--prompt", "x", "--device", "cuda:99"], "device: 'cuda:99' is not in this machine."),
        (["--prompt", "x", "--model", "nothing"], "model: 'nothing' is not a model of this studio."),
        ([], "prompt: the prompt is empty. Describe what should be seen."),
    ],
)
def test_bad_input_is_exit_code_2_and_one_sentence(machine, capsys, options, sentence) -> None:
    assert generate(machine, *options) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(sentence)
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_an_unknown_option_is_exit_code_2(machine) -> None:
    with pytest.raises(SystemExit) as stopped:
        generate(machine, "--colour", "red")
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [(GenerationFailed("No picture."), 1, "No picture."), (KeyboardInterrupt(), 130, "Interrupted.")],
)
def test_failures_are_one_sentence(machine, capsys, monkeypatch, error, code, sentence) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Engine, "generate", fail)
    assert generate(machine, "--prompt", "x") == code
    assert capsys.readouterr().err == f"{sentence}\n"


def test_every_field_is_an_option_with_its_help(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["generate", "--help"])
    text = capsys.readouterr().out
    singular = {"references": "reference", "loras": "lora"}
    options = [singular.get(name, name).replace("_", "-") for name in knobs()]
    assert [option for option in options if f"--{option} " not in text and f"--{option}," not in text] == []
    assert "4n+1" in text
    assert "[unipc, dpm++, euler, lcm, " in " ".join(text.split())


def test_media_are_files_and_say_what_the_task_is(machine, tmp_path) -> None:
    source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    write_video([np.full((5, 32, 32, 3), 90, np.uint8)], source, 8, 18, {})
    options = ["--prompt", "x", "--video", str(source), "--strength", "0.5", "--strength-mode", "steps"]
    assert generate(machine, *options, "--output", str(target)) == 0
    request = read_request(target)
    assert (request.task, request.strength, request.strength_mode) == ("v2v", 0.5, "steps")
    kept = tmp_path / "home" / "inputs" / request.video
    assert kept.read_bytes() == source.read_bytes()
    part = ["--prompt", "x", "--video", str(source), "--crops", "video=0,0,1,0.5"]
    assert generate(machine, *part, "--output", str(target)) == 0
    request = read_request(target)
    assert (request.task, str(request.crops)) == ("v2v", "video=0,0,1,0.5")
    assert request.width == 2 * request.height


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_a_pictures_name_asks_for_a_picture(machine, tmp_path, ending: str) -> None:
    target = tmp_path / f"a.{ending}"
    assert generate(machine, "--prompt", "x", "--seed", "1", "--output", str(target)) == 0
    request = read_request(target)
    assert (request.task, request.num_frames) == ("t2i", 1)
    assert request.image_format == {"jpg": "jpeg"}.get(ending, ending)
    assert read_image(target).shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--task", "t2i", "--output", "a.mp4"], 2, "'a.mp4' is no name for this picture. End it with .png."),
        (["--video", "text.mp4"], 1, "text.mp4 is no picture or video"),
        (["--video", "gone.mp4"], 1, "gone.mp4 cannot be opened"),
        (["--task", "v2v"], 2, "video: Tiny needs it and it is missing."),
        (["--strength", "0.5"], 2, "strength: Tiny does not take it for this task."),
        (["--crops", "video=0,0,1,0.5"], 2, "crops: Tiny does not take it for this task."),
        (["--task", "v2v", "--crops", "video=0,0,2,1"], 2, "video: 0,0,2,1 lies outside of the picture"),
        (["--crops", "sound=0,0,1,1"], 2, "'sound=0,0,1,1' is no part of an input; write image, last_image"),
        (["--region", "0", "0", "1", "9"], 2, "region: '9' is refused."),
    ],
)
def test_media_that_do_not_fit_are_refused(
    machine, tmp_path, monkeypatch, capsys, options: list[str], code: int, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.mp4").write_text("no video at all")
    assert generate(machine, "--prompt", "x", *options) == code
    assert sentence in capsys.readouterr().err


def test_models_lists_each_with_its_place_and_size(machine, tiny, capsys) -> None:
    assert main(["models", *machine]) == 0
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if line.startswith("tiny"))
    assert "ready" in row
    assert str(tiny.folder) in row
    row = next(line for line in lines if line.startswith("wan2.1-t2v-1.3b"))
    assert "17.6 GB" in row


def test_models_lists_the_others_beside_a_damaged_one(machine, capsys, monkeypatch) -> None:
    missing = WeightStore.missing

    def damaged(self: WeightStore, spec: ModelSpec) -> dict[str, int]:
        if spec.id == "wan2.1-t2v-14b":
            raise WeightsError("x.index.json is no index.")
        return missing(self, spec)

    monkeypatch.setattr(WeightStore, "missing", damaged)
    assert main(["models", *machine]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(MODELS)
    assert "wan2.1-t2v-14b     Wan2.1 T2V 14B     x.index.json is no index." in lines
    assert sum("x.index.json" in line for line in lines) == 1


def test_a_failure_of_training_is_one_sentence(capsys, monkeypatch) -> None:
    def fail(argv: list[str]) -> int:
        raise WeightsError(f"{argv[0]} is damaged.")

    monkeypatch.setattr(cli, "_train", fail)
    assert main(["train", "vae"]) == 1
    assert capsys.readouterr().err == "vae is damaged.\n"


def test_warnings_are_told_once_at_the_end(machine, capsys) -> None:
    assert generate(machine, "--prompt", "a red circle " * 300) == 0
    assert capsys.readouterr().err.count("tokens; the model sees the first 512.\n") == 1


def test_download_needs_a_model_and_leaves_a_complete_one_alone(machine, capsys) -> None:
    assert main(["models", "download", *machine]) == 2
    assert "no model is named" in capsys.readouterr().err
    assert main(["models", "download", "tiny", *machine]) == 0


def test_listing_models_needs_no_torch(tmp_path) -> None:
    code = (
        "import sys; from wan_core.cli import main; "
        f"main(['models', '--home', {str(tmp_path)!r}]); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).returncode == 0


def test_progress_is_one_line_per_stage_where_no_one_watches(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    progress = TerminalProgress()
    for step in range(4):
        progress(ProgressEvent(stage=Stage.DENOISE, step=step, total=3))
    progress(ProgressEvent(stage=Stage.DECODE, step=0, total=5))
    progress.close()
    assert sys.stderr.getvalue() == "denoise\ndecode\n"


def test_progress_line() -> None:
    event = ProgressEvent(stage=Stage.DENOISE, step=5, total=10, seconds=3.25)
    assert progress_line(event) == f"denoise  {'█' * 14}{'·' * 14}      5/10    3.2 s"
    event = ProgressEvent(stage=Stage.DOWNLOAD, step=2_000_000, total=8_000_000, message="2 MB/s")
    assert progress_line(event) == f"download {'█' * 7}{'·' * 21}    2/8 MB    0.0 s  2 MB/s"


def test_cancelled_is_a_failure(machine, monkeypatch, capsys) -> None:
    def cancel(*_: object) -> None:
        raise Cancelled

    monkeypatch.setattr(Engine, "generate", cancel)
    assert generate(machine, "--prompt", "x") == 1
    assert capsys.readouterr().err == "Cancelled.\n"


def test_the_worker_ends_when_standard_input_closes(tmp_path) -> None:
    command = [sys.executable, "-m", "wan_core", "worker", "--home", str(tmp_path), "--device", "cpu"]
    assert subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, timeout=60).returncode == 0


def test_train_has_options_of_its_own() -> None:
    command = [sys.executable, "-m", "wan_core", "train", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: wan_core train")


def test_kept_settings_serve_and_options_come_before_them(tmp_path, capsys) -> None:
    KeptSettings(Settings(home=tmp_path)).change({"precision": "fp16", "vae_tile": 512, "profile": "blocks"})

    def settings(*options: str) -> Settings:
        parsed = cli._parser().parse_args(["generate", "--home", str(tmp_path), *options])
        return cli._settings(parsed)

    assert settings() == Settings(home=tmp_path, precision="fp16", vae_tile=512, profile="blocks")
    given = settings("--precision", "bf16", "--vram-limit-gib", "7.5", "--model-folders", "/a", "/b")
    assert (given.precision, given.vae_tile, given.vram_limit_gib) == ("bf16", 512, 7.5)
    assert given.model_folders == (Path("/a"), Path("/b"))
    assert settings().precision == "fp16", "the command line keeps nothing"
    assert main(["models", "--home", str(tmp_path), "--vae-tile", "7"]) == 2
    assert "vae_tile: '7' is refused" in capsys.readouterr().err
    (tmp_path / "settings.json").write_text("{")
    assert settings() == Settings(home=tmp_path)
    assert "the file is kept as settings.json.bad" in capsys.readouterr().err
