"""Auto takes the fastest exact kernel, as timed once on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from wan_core.manager import attention_choice
from wan_core.manager.attention_choice import timed_attention
from wan_core.manager.speed import set_speed
from wan_core.ops import attention as chosen
from wan_core.ops import attention_timing
from wan_core.ops.attention import use_attention
from wan_core.ops.attention_timing import attention_seconds
from wan_core.ops.kernels import KERNELS, Kernel
from wan_core.schema import Settings
from wan_core.schema.attention import fastest

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    use_attention("auto")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was timed; Rows of products take half the time."""
    calls: list[list[str]] = []

    def timed(names: list[str], device: torch.device, dtype: torch.dtype) -> dict[str, float]:
        calls.append(list(names))
        return {name: 0.5 if name == "rows" else 1.0 for name in names}

    monkeypatch.setattr(attention_choice, "attention_seconds", timed)
    return calls


@pytest.mark.parametrize(
    ("seconds", "name"),
    [
        ({}, "auto"),
        ({"auto": 1.0}, "auto"),
        ({"auto": 1.0, "rows": 0.98}, "auto"),
        ({"auto": 1.0, "rows": 0.9, "flash": 0.95}, "rows"),
        ({"rows": 0.9}, "auto"),
    ],
)
def test_the_fastest_is_taken_if_it_is_clearly_faster(seconds: dict[str, float], name: str) -> None:
    assert fastest(seconds) == name


def test_it_is_timed_once_and_kept(tmp_path: Path, asked: list[list[str]]) -> None:
    settings = Settings(home=tmp_path, precision="bf16")
    first = timed_attention(settings, CPU)
    assert first == {"auto": 1.0, "rows": 0.5}
    assert timed_attention(settings, CPU) == first
    assert asked == [["auto", "rows"]]


@pytest.mark.parametrize("content", ["", "[1]", '{"auto": "fast"}', '{"auto": -1.0}', '{"magic": 1.0}'])
def test_what_cannot_be_read_is_timed_anew(tmp_path: Path, asked: list[list[str]], content: str) -> None:
    settings = Settings(home=tmp_path, precision="bf16")
    timed_attention(settings, CPU)
    [path] = settings.measured_dir.glob("attention-*.json")
    path.write_text(content)
    assert timed_attention(settings, CPU) == {"auto": 1.0, "rows": 0.5}
    assert len(asked) == 2
    assert json.loads(path.read_text()) == {"auto": 1.0, "rows": 0.5}


def test_where_there_is_no_choice_nothing_is_timed(tmp_path: Path, asked: list[list[str]]) -> None:
    assert timed_attention(Settings(home=tmp_path, precision="fp32"), CPU) == {}
    assert asked == [] and not (tmp_path / "measured").exists()


def test_auto_runs_what_is_fastest(tmp_path: Path, asked: list[list[str]]) -> None:
    assert set_speed(Settings(home=tmp_path, precision="bf16"), CPU).notes == ()
    assert chosen._chosen[0] is KERNELS["rows"]
    set_speed(Settings(home=tmp_path, precision="bf16", attention="math"), CPU)
    assert chosen._chosen[0] is KERNELS["math"]
    set_speed(Settings(home=tmp_path, precision="fp32"), CPU)
    assert chosen._chosen[0] is KERNELS["auto"]


def test_a_kernel_that_fails_at_this_length_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*inputs: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(attention_timing, "TOKENS_ON_CPU", 40)
    monkeypatch.setitem(KERNELS, "math", Kernel(failing))
    found = attention_seconds(["auto", "math", "rows"], CPU, torch.bfloat16)
    assert set(found) == {"auto", "rows"} and all(seconds > 0 for seconds in found.values())
