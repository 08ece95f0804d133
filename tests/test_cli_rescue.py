"""What the command line tells after a job that memory failed: how to go on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.test_cli import generate
from wan_core.cli import main
from wan_core.engine import Engine
from wan_core.models.vae.model import WanVAE
from wan_core.schema import OutOfMemory

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def machine(tmp_path: Path) -> list[str]:
    return ["--home", str(tmp_path / "home"), "--device", "cpu", "--offline"]


def test_finished_latents_are_named_and_can_be_decoded(machine, tmp_path, capsys, monkeypatch) -> None:
    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with monkeypatch.context() as patch:
        patch.setattr(WanVAE, "reconstruct", exhausted)
        assert generate(machine, "--prompt", "x", "--seed", "1") == 1
    said = capsys.readouterr().err
    command = next(line for line in said.splitlines() if line.startswith("The finished latents are kept:"))
    assert "decode again.\n" in said
    arguments = command.partition("python -m wan_core ")[2].split()
    assert arguments[0] == "decode" and Path(arguments[1]).is_file()
    target = tmp_path / "a.mp4"
    assert main([*arguments, *machine, "--output", str(target)]) == 0
    assert target.stat().st_size > 0


def test_the_next_lower_profile_is_named(machine, capsys, monkeypatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise OutOfMemory("The device ran out of memory.", "blocks")

    monkeypatch.setattr(Engine, "generate", exhausted)
    assert generate(machine, "--prompt", "x") == 1
    assert capsys.readouterr().err == "For less memory: --profile blocks\nThe device ran out of memory.\n"
