"""Workers that die, jobs stopped at any moment, storms of orders: the queue goes on, one after the other."""

from __future__ import annotations

import dataclasses
import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.crashes import integrity, worker_is_ready
from tests.faults.drawing import drawing_command
from tests.faults.small_studio import SIZE
from tests.jobs.conftest import wait_for
from tests.test_engine import ignore
from tests.tiny import write_tiny_model
from wan_core.catalog import MODELS, ModelSpec
from wan_core.engine import Engine
from wan_core.jobs.executors import Executor, InlineExecutor, ProcessExecutor
from wan_core.jobs.job import Job, JobStatus
from wan_core.schema import Emit, GenerationRequest, GenerationResult, InvalidRequest, Settings, Stage

pytestmark = pytest.mark.faults

RESPAWN, SLACK = 10.0, 2.0
"""Seconds that are promised, and those that a busy machine may take more."""

OPERATIONS = 200


def asked(prompt: str = "steps=3", **fields: object) -> GenerationRequest:
    return GenerationRequest(**{"model": "demo", "prompt": prompt, **SIZE, **fields})


def ended(executor: Executor, job_id: str, seconds: float = 60.0) -> Job:
    return wait_for(lambda: job if (job := executor.store.get(job_id)).status.is_final else None, seconds)


@pytest.fixture
def executor(settings: Settings) -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor(settings, drawing_command)
    executor.start()
    worker_is_ready(executor.store, None)
    yield executor
    executor.stop()
    executor.store.close()


def test_a_worker_that_crashes_is_replaced_at_once_however_often(executor: ProcessExecutor) -> None:
    for number in range(4):
        pid = executor.store.worker_status().pid
        begin = time.monotonic()
        os.kill(pid, signal.SIGSEGV if number % 2 else signal.SIGKILL)
        worker_is_ready(executor.store, pid)
        assert time.monotonic() - begin < RESPAWN
    assert ended(executor, executor.submit(asked())).status is JobStatus.DONE


def test_a_job_that_kills_two_workers_has_failed_and_the_next_one_is_done(executor: ProcessExecutor) -> None:
    deadly, next_job = executor.submit(asked("die=SIGSEGV")), executor.submit(asked())
    job = ended(executor, deadly)
    assert (job.status, job.attempts) == (JobStatus.FAILED, 2)
    assert job.error.startswith("Given up after 2 attempts: the worker crashed (SIGSEGV); try")
    job = ended(executor, next_job)
    assert (job.status, job.attempts) == (JobStatus.DONE, 1)


@pytest.mark.parametrize(
    ("prompt", "is_there", "limit"),
    [
        ("steps=3", lambda job: job.status is JobStatus.QUEUED, 1.0),
        ("load=60", lambda job: job.stage is Stage.LOAD, 3.0),
        ("steps=99 sleep=0.4", lambda job: job.stage is Stage.DENOISE and job.step > 1, 1.4),
        ("steps=1 encode=0.7", lambda job: job.stage is Stage.DECODE, 1.7),
    ],
    ids=["queued", "loading", "denoising", "encoding"],
)
def test_a_job_is_stopped_within_its_limit(
    executor: ProcessExecutor, prompt: str, is_there: Callable[[Job], bool], limit: float
) -> None:
    for _ in range(2):
        blocker = executor.submit(asked("steps=999 sleep=0.1")) if limit == 1.0 else None
        job_id = executor.submit(asked(prompt))
        wait_for(lambda job_id=job_id: is_there(executor.store.get(job_id)))
        begin = time.monotonic()
        assert executor.cancel(job_id)
        assert ended(executor, job_id).status is JobStatus.CANCELLED
        assert time.monotonic() - begin < limit + SLACK
        if blocker:
            executor.cancel(blocker)
            ended(executor, blocker)
        worker_is_ready(executor.store, None)
    assert not [path for path in executor._settings.outputs_dir.glob("*") if path.suffix == ".mp4"]
    assert ended(executor, executor.submit(asked())).status is JobStatus.DONE


def test_a_storm_of_orders_and_kills_leaves_a_queue_that_is_worked_off_in_turn(
    executor: ProcessExecutor, settings: Settings
) -> None:
    dice, store, ids = random.Random(5), executor.store, []

    def kill() -> None:
        if (pid := store.worker_status().pid) is not None and dice.random() < 0.3:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def delete() -> None:
        with suppress(InvalidRequest):
            store.delete(dice.choice(ids))

    acts: list[Callable[[], object]] = [
        lambda: ids.append(executor.submit(asked(f"steps=2 sleep={dice.choice((0, 0.05))}"))),
        lambda: ids.append(executor.submit(asked())),
        lambda: executor.cancel(dice.choice(ids)),
        lambda: executor.cancel(ids[-1]),
        lambda: executor.retry(dice.choice(ids)),
        lambda: store.move(dice.choice(ids), dice.choice([*ids, None])),
        lambda: store.pause(dice.random() < 0.3),
        lambda: executor.change(settings.model_copy(update={"vae_tile": dice.choice((64, 128))})),
        executor.unload,
        delete,
        kill,
    ]
    acts[0]()
    for _ in range(OPERATIONS):
        dice.choice(acts)()
        time.sleep(dice.uniform(0, 0.02))
    store.pause(False)
    wait_for(lambda: not store.queue(), 120)
    jobs = store.list(limit=1000)
    assert all(job.status.is_final for job in jobs)
    for job in jobs:
        if job.status is JobStatus.DONE:
            assert job.result.video.is_file()
        if job.status is JobStatus.FAILED:
            assert job.attempts == 2, job.error
    runs = sorted((job.started, job.finished) for job in jobs if job.status is JobStatus.DONE)
    assert all(one[1] <= two[0] + 0.01 for one, two in itertools.pairwise(runs)), "one at a time"
    assert len(runs) > 5
    assert integrity(store.path) == "ok"


@pytest.fixture
def models(tiny_spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of three tiny models of different weights."""
    specs = [tiny_spec]
    for number in (1, 2):
        spec = write_tiny_model(tmp_path / f"tiny{number}", seed=10 * number)
        specs.append(dataclasses.replace(spec, id=f"tiny{number}"))
    for spec in specs:
        monkeypatch.setitem(MODELS, spec.id, spec)
    return [spec.id for spec in specs]


def test_a_storm_of_model_changes_and_cancellations_leaves_no_half_model(
    settings: Settings, models: list[str]
) -> None:
    def wanted(model: str) -> GenerationRequest:
        return GenerationRequest(
            model=model, prompt="a red circle", seed=1, num_frames=1, num_inference_steps=2
        )

    clean = {model: Engine(settings).generate(wanted(model), ignore).video.read_bytes() for model in models}
    assert len(set(clean.values())) == len(models)
    engine = Engine(settings)

    def run(job: Job, emit: Emit) -> GenerationResult:
        return engine.generate(job.request, emit, job.id)

    executor = InlineExecutor(settings, run, engine.unload)
    dice, ids = random.Random(6), []
    executor.start()
    for _ in range(OPERATIONS):
        act = dice.random()
        if act < 0.4 or not ids:
            ids.append(executor.submit(wanted(dice.choice(models))))
        elif act < 0.8:
            executor.cancel(dice.choice(ids[-4:]))
        else:
            executor.unload()
        time.sleep(dice.uniform(0, 0.05))
    jobs = [ended(executor, job_id) for job_id in ids]
    executor.stop()
    made = [job for job in jobs if job.status is JobStatus.DONE]
    assert {job.status for job in jobs} <= {JobStatus.DONE, JobStatus.CANCELLED} and len(made) > 10
    for job in made:
        assert job.result.video.read_bytes() == clean[job.request.model], "the clean run's own file"
    assert {
        model: Engine(settings).generate(wanted(model), ignore).video.read_bytes() for model in models
    } == clean
