"""A job that dies while it denoises goes on from its checkpoint, and comes to the very same latents."""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.lora.test_jobs import style
from tests.test_engine import request
from tests.tiny import DIT_FILE
from wan_core.catalog import ModelSpec
from wan_core.engine import Engine, ignore
from wan_core.models.dit.model import WanDiT
from wan_core.pipelines import checkpoint
from wan_core.pipelines.checkpoint import StepCheckpoint
from wan_core.pipelines.latents import load_latents
from wan_core.schedulers import SCHEDULERS, make_scheduler
from wan_core.schema import GenerationRequest, ProgressEvent, Settings, Stage

pytestmark = pytest.mark.usefixtures("tiny")

STEPS = 6


class Death(Exception):
    """What the process dies of."""


def dying_after(step: int) -> Callable[[ProgressEvent], None]:
    """Ends the run when a step after this one is done, as a crash in the step would."""

    def emit(event: ProgressEvent) -> None:
        if event.stage is Stage.DENOISE and event.step > step:
            raise Death

    return emit


@pytest.fixture(autouse=True)
def at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", float("inf"))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The timestep of each call of the transformer."""
    forward, seen = WanDiT.forward, []

    def counted(self: WanDiT, latents: Tensor, timestep: Tensor, *rest: object) -> Tensor:
        seen.append(int(timestep))
        return forward(self, latents, timestep, *rest)

    monkeypatch.setattr(WanDiT, "forward", counted)
    return seen


def asked(**values: object) -> GenerationRequest:
    return request(num_inference_steps=STEPS, num_frames=17, **values)


def latents_of(engine: Engine, job: str) -> Tensor:
    return load_latents(engine.latents_path(job))[0]


def die(settings: Settings, wanted: GenerationRequest, after: int, job: str = "job") -> Path:
    """A run that ends after a step; returns its checkpoint."""
    with pytest.raises(Death):
        Engine(settings).generate(wanted, dying_after(after), job)
    return settings.checkpoint_path(job)


@pytest.mark.parametrize("done", [1, 2, 3, 5])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_sampler_goes_on_to_the_same_latents(
    settings: Settings, calls: list[int], scheduler: str, done: int
) -> None:
    wanted = asked(scheduler=scheduler)
    engine = Engine(settings)
    engine.generate(wanted, ignore, "whole")
    all_calls = calls.copy()
    kept = die(settings, wanted, done)
    assert kept.is_file()
    calls.clear()
    events: list[ProgressEvent] = []
    result = Engine(settings).generate(wanted, events.append, "job")
    assert torch.equal(latents_of(engine, "job"), latents_of(engine, "whole"))
    assert calls == all_calls[-len(all_calls) * (STEPS - done) // STEPS :]
    assert result.warnings == (f"It went on after step {done}, where an earlier run of it had ended.",)
    steps = [event.step for event in events if event.stage is Stage.DENOISE]
    assert steps == list(range(done, STEPS + 1))
    assert not kept.exists()


@pytest.mark.parametrize(
    "values",
    [
        {"guidance_scale": 5.0, "cfg_zero": True},
        {"windows": {"frames": 9, "overlap": 4, "freenoise": True}},
        {"scheduler": "lcm", "windows": {"frames": 9, "overlap": 4, "schedule": "uniform"}},
        {"sigmas": (1.0, 0.9, 0.7, 0.5, 0.3, 0.1)},
        {"end_step": 5},
    ],
    ids=["guidance", "windows", "moving windows", "levels", "part of the steps"],
)
def test_what_else_guides_a_run_goes_on_too(settings: Settings, values: dict) -> None:
    engine, wanted = Engine(settings), asked(**values)
    engine.generate(wanted, ignore, "whole")
    die(settings, wanted, 2)
    result = engine.generate(wanted, ignore, "job")
    assert torch.equal(latents_of(engine, "job"), latents_of(engine, "whole"))
    assert "It went on after step 2, where an earlier run of it had ended." in result.warnings


def replaced(path: Path, **changes: Tensor) -> None:
    """The same file with other tensors and the old header's facts."""
    metadata = checkpoint._header(path.read_bytes())["__metadata__"]
    save_file({**load_file(path), **changes}, path, metadata)


def restated(path: Path, **changes: object) -> None:
    """The same tensors with other facts, and a digest that fits them: what a liar would write."""
    facts = json.loads(checkpoint._header(path.read_bytes())["__metadata__"]["run"])
    tensors = load_file(path)
    facts = {**facts, **changes}
    facts.pop("digest")
    facts["digest"] = checkpoint._digest(facts, tensors)
    save_file(tensors, path, {"run": json.dumps(facts)})


def without(path: Path, name: str) -> None:
    tensors = load_file(path)
    del tensors[name]
    metadata = checkpoint._header(path.read_bytes())["__metadata__"]
    save_file(tensors, path, metadata)
    restated(path)


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "no safetensors": lambda path: path.write_bytes(b"\xff" * 5000),
    "a flipped bit": lambda path: flip(path, -40),
    "a flipped bit of the facts": lambda path: flip(path, path.read_bytes().index(b"steps") + 9),
    "without facts": lambda path: save_file(load_file(path), path),
    "other latents": lambda path: replaced(path, latents=torch.zeros(1, 16, 5, 4, 4)),
    "another shape": lambda path: (replaced(path, latents=torch.zeros(1)), restated(path)),
    "NaN": lambda path: (replaced(path, latents=torch.full((1, 16, 5, 4, 4), torch.nan)), restated(path)),
    "history of another shape": lambda path: (replaced(path, x0=torch.zeros(7)), restated(path)),
    "history missing": lambda path: without(path, "older"),
    "chance too short": lambda path: (
        replaced(path, generator=torch.zeros(8, dtype=torch.uint8)),
        restated(path),
    ),
    "chance of zeros": lambda path: (
        replaced(path, generator=torch.zeros(5056, dtype=torch.uint8)),
        restated(path),
    ),
    "chance of numbers": lambda path: (replaced(path, generator=torch.zeros(5056)), restated(path)),
    "too many steps": lambda path: restated(path, steps=STEPS),
    "a billion steps": lambda path: restated(path, steps=10**9),
    "steps before the first": lambda path: restated(path, steps=-1),
    "steps in words": lambda path: restated(path, steps="two"),
    "seconds in words": lambda path: restated(path, seconds="long"),
    "endless seconds": lambda path: restated(path, seconds=10**400),
    "no facts": lambda path: save_file(load_file(path), path, {"run": "7"}),
    "facts without end": lambda path: save_file(load_file(path), path, {"run": "[" * 10**5}),
    "of another run": lambda path: restated(path, of="0" * 64),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "too large": lambda path: path.open("ab").truncate(2**33),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_checkpoint_that_is_not_as_it_was_is_left_aside(
    settings: Settings, calls: list[int], caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    engine, wanted = Engine(settings), asked()
    engine.generate(wanted, ignore, "whole")
    all_calls = calls.copy()
    kept = die(settings, wanted, 3)
    DAMAGE[damage](kept)
    calls.clear()
    with caplog.at_level(logging.INFO):
        result = engine.generate(wanted, ignore, "job")
    assert calls == all_calls
    assert f"{kept.name} is left aside, and the run begins at its first step: " in caplog.text
    assert result.warnings == ()
    assert torch.equal(latents_of(engine, "job"), latents_of(engine, "whole"))


@pytest.mark.parametrize("change", ["seed", "precision", "weights", "shift"])
def test_a_checkpoint_of_another_way_is_left_aside(
    settings: Settings, tiny: ModelSpec, calls: list[int], change: str
) -> None:
    wanted = asked()
    die(settings, wanted, 3)
    if change == "weights":
        os.utime(tiny.folder / DIT_FILE)
    elif change == "precision":
        settings = settings.model_copy(update={"precision": "bf16"})
    else:
        wanted = wanted.model_copy(update={change: 2})
    calls.clear()
    assert Engine(settings).generate(wanted, ignore, "job").warnings == ()
    assert len(set(calls)) == STEPS


def test_a_checkpoint_is_of_one_job(settings: Settings, calls: list[int]) -> None:
    die(settings, asked(), 3)
    calls.clear()
    assert Engine(settings).generate(asked(), ignore, "other").warnings == ()
    assert len(set(calls)) == STEPS


def test_a_run_with_a_step_cache_keeps_none_and_begins_anew(settings: Settings) -> None:
    wanted = asked(step_cache="easycache").model_copy(update={"num_inference_steps": 14})
    assert not die(settings, wanted, 8).exists()
    told = Engine(settings).generate(wanted, ignore, "job").warnings
    assert not [words for words in told if "went on" in words]


def test_a_lora_has_the_strength_of_the_step_that_is_gone_on_from(settings: Settings) -> None:
    settings.loras_dir.mkdir(parents=True)
    save_file(style(), settings.loras_dir / "style.safetensors")
    wanted = asked(loras=({"file": "style.safetensors", "strength": (1.0, 0.2, 0.8, 0.5, 0.0, 1.0)},))
    engine = Engine(settings)
    engine.generate(wanted, ignore, "whole")
    die(settings, wanted, 3)
    told = engine.generate(wanted, ignore, "job").warnings
    assert "It went on after step 3, where an earlier run of it had ended." in told
    assert torch.equal(latents_of(engine, "job"), latents_of(engine, "whole"))


def test_a_full_disk_costs_the_checkpoint_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "whole_file", refuse)
    result = Engine(settings).generate(asked(), ignore, "job")
    assert result.video.is_file() and result.warnings == ()
    assert caplog.text.count("was not kept in") == STEPS - 1


def test_a_short_run_writes_none(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 20.0)
    assert not die(settings, asked(), 5).exists()


def test_writing_takes_its_share_of_the_time_at_most(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Writing takes a second: for 99 there is no other one."""
    now, written = [0.0], []
    monkeypatch.setattr(checkpoint, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(checkpoint, "SHARE", 0.01)
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 20.0)
    scheduler, noise = make_scheduler("euler", 400, 3.0), torch.zeros(1, 16, 1, 2, 2)
    kept = StepCheckpoint(tmp_path / "job.steps.safetensors", lambda: "", {})

    def write(latents: Tensor, scheduler: object) -> None:
        written.append(now[0])
        now[0] += 1

    monkeypatch.setattr(kept, "_write", write)
    kept.resume(scheduler, noise)
    while now[0] < 320:
        now[0] += 1
        kept.reach(noise, scheduler)
    assert written == [20.0, 121.0, 222.0]


def test_the_time_of_the_steps_before_counts(settings: Settings) -> None:
    kept = die(settings, asked(), 3)
    restated(kept, seconds=100.0)
    events: list[ProgressEvent] = []
    result = Engine(settings).generate(asked(), events.append, "job")
    assert 100 < result.seconds["denoise"] < 110
    assert next(e.seconds for e in events if e.stage is Stage.DENOISE and e.step == 4) > 100


def test_a_run_whose_files_cannot_be_told_apart_keeps_none(tmp_path: Path) -> None:
    def vanished() -> str:
        raise FileNotFoundError("a file of the model")

    scheduler, noise = make_scheduler("euler", 4, 3.0), torch.zeros(1, 16, 1, 2, 2)
    kept = StepCheckpoint(tmp_path / "job.steps.safetensors", vanished, {})
    assert kept.resume(scheduler, noise) is None
    scheduler.step(noise, noise)
    kept.reach(noise, scheduler)
    assert not kept.path.exists()
