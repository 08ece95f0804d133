"""A request as a command and as Python: both are run, and make the same file to the byte."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from wan_core.cli import _parser
from wan_core.cli_request import read_request
from wan_core.engine import Engine
from wan_core.media.inputs import InputStore
from wan_core.recipes import as_command, as_python, plain_name
from wan_core.schema import GenerationRequest, Settings
from wan_core.schema.lora import LoraUse
from wan_core.schema.settings import default_home

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "assets" / "examples" / "circle-first.png"

HARD = 'a circle\'s "path" $HOME `ls` \\ ; & | 圆\n-- two lines'


def placed(inputs: InputStore):
    return lambda name: str(inputs.path(name))


def run(code: list[str], home: Path) -> Path:
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HOME": str(home)}
    done = subprocess.run(code, env=surroundings, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def test_both_make_the_same_file_as_the_studio(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "a home", offline=True, device="cpu")
    inputs = InputStore(settings.inputs_dir)
    request = GenerationRequest(
        model="demo-image",
        task="i2v",
        prompt=HARD,
        image=inputs.keep(PICTURE),
        seed=7,
        num_frames=5,
        num_inference_steps=1,
        guidance_scale=1.0,
        crops="image=0.25,0,1,0.5",
    )
    made = Engine(settings).generate(request).video.read_bytes()
    command = as_command(request, settings, placed(inputs))
    assert command.startswith("python -m wan_core generate --home ")
    words = [sys.executable, *shlex.split(command)[1:]]
    assert run(words, tmp_path).read_bytes() == made
    code = as_python(request, settings, placed(inputs))
    assert run([sys.executable, "-c", code], tmp_path).read_bytes() == made


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"prompt": "-4 degrees", "negative_prompt": "", "seed": 0, "width": 64, "height": 48, "fps": 8},
        {"model": "demo", "task": "t2i", "image_format": "webp", "embed_metadata": False, "ping_pong": True},
        {"guidance_scale": 1 / 3 + 1, "shift": 5.5, "scheduler": "dpm++", "filename": "{seed} {model}"},
        {
            "model": "demo-vace",
            "task": "control",
            "references": ("0" * 32 + ".png", "1" * 32 + ".png"),
            "kept_frames": (0, -1),
            "mask_builder": "frames",
            "region": (0.0, 0.25, 1.0, 0.5),
            "camera_rotation": True,
            "crops": "image=0.12345,0,1,0.5 video=0,1e-05,1,0.5",
        },
        {
            "loras": (
                LoraUse(file="sub/a b.safetensors", strength=0.1, blocks="0-3, ffn", merge=True),
                LoraUse(file="b.safetensors", strength=(1.0, -0.5)),
                LoraUse(file="c.safetensors"),
            )
        },
    ],
)
def test_the_command_says_every_field(fields: dict[str, object], tmp_path: Path) -> None:
    request = GenerationRequest(**{"prompt": HARD, **fields})
    command = as_command(request, Settings(home=default_home()), plain_name)
    options = _parser().parse_args(shlex.split(command)[3:])
    said = _Named()
    assert read_request(options, said) == request
    assert said.asked == [Path(name) for name in request.references]


class _Named:
    """An input store that believes what it is told."""

    def __init__(self) -> None:
        self.asked: list[Path] = []

    def keep(self, path: Path) -> str:
        self.asked.append(path)
        return path.name


def test_what_is_not_asked_for_is_not_said() -> None:
    settings = Settings(home=default_home())
    request = GenerationRequest(prompt="a red circle", seed=1)
    assert as_command(request, settings, plain_name) == (
        "python -m wan_core generate --task t2v --model demo --prompt 'a red circle' --seed 1"
    )
    assert as_python(request, settings, plain_name) == (
        "from wan_core.api import WanPipeline\n\npipe = WanPipeline.load('demo')\nresult = pipe(\n"
        "    'a red circle',\n    task='t2v',\n    seed=1,\n)\nprint(result.video)\n"
    )
