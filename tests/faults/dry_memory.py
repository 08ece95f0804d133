"""Jobs of a real queue, on the real engine, in which the memory of operations drawn by chance runs out.

``python -m tests.faults.dry_memory --jobs 200`` prints a report; ``--case 17`` runs that one alone.

*once*: one operation gets none, and the job is done all the same. *twice* to *four times*: done, or failed.
*from then on*: no operation gets any more. Whatever fails says so in one sentence, holds nothing afterwards,
and is done the next time. Every finished file is the very one of an undisturbed run.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.failing_memory import Faults, prompt_bytes
from tests.jobs.conftest import wait_for
from tests.tiny import write_tiny_model
from wan_core.catalog import MODELS
from wan_core.engine import Engine
from wan_core.jobs.executors import InlineExecutor
from wan_core.jobs.job import Job, JobStatus
from wan_core.schema import Emit, GenerationRequest, GenerationResult, Settings

_ALWAYS = 10**9
_TIMES = (1, 1, 1, 2, 3, 4, _ALWAYS, _ALWAYS)
_SECONDS = 120.0


@dataclass(frozen=True)
class Case:
    """From the ``first`` operation on, ``times`` operations that need memory get none."""

    number: int
    first: int
    times: int


@dataclass
class Report:
    """What came of all cases; ``wrong`` is a sentence for each that was not as it has to be."""

    cases: int = 0
    done: int = 0
    failed: int = 0
    operations: int = 0
    slowest_seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        return {**asdict(self), "passed": not self.wrong}


class Queue:
    """A studio's queue and engine, over the tiny model."""

    def __init__(self, home: Path) -> None:
        settings = Settings(home=home, device="cpu", precision="fp32", offline=True)
        self.engine = Engine(settings)
        self.executor = InlineExecutor(settings, self._run)
        self.faults: Faults | None = None
        self.executor.start()

    def _run(self, job: Job, emit: Emit) -> GenerationResult:
        with self.faults or nullcontext():
            return self.engine.generate(job.request, emit, job.id, profile=job.profile)

    def made(self, faults: Faults | None = None, again: str = "") -> Job:
        """A job that has ended; ``again`` is one that failed before."""
        self.faults = faults
        job_id = again or self.executor.submit(GenerationRequest(model="tiny", prompt="a red circle", seed=1))
        if again:
            self.executor.retry(again)
        store = self.executor.store
        return wait_for(lambda: (job := store.get(job_id)) and job.status.is_final and job, _SECONDS)

    def forget(self) -> None:
        """Weights and prompts that are kept for the next job."""
        self.engine.manager.unload()
        self.engine._prompts._kept.clear()

    def close(self) -> None:
        self.executor.stop()
        self.executor.store.close()


def cases(count: int, operations: int, seed: int = 0) -> list[Case]:
    """Some cases, the same for the same seed; every part of a job has its share of them."""
    dice = random.Random(seed)
    return [
        Case(number, int((number + dice.random()) / count * operations), _TIMES[3 * number % len(_TIMES)])
        for number in range(count)
    ]


def run(home: Path, count: int, seed: int = 0, only: int | None = None) -> Report:
    """Run them, one after the other, in one studio."""
    MODELS["tiny"] = write_tiny_model(home.parent / "tiny")
    queue, report = Queue(home), Report()
    try:
        counted = Faults()
        clean = _file_of(queue.made(counted))
        report.operations = counted.done
        for case in cases(count, counted.done, seed):
            if only in (None, case.number):
                _try(queue, case, clean, report)
    finally:
        queue.close()
        del MODELS["tiny"]
    return report


def _try(queue: Queue, case: Case, clean: bytes, report: Report) -> None:
    queue.forget()  # else what comes first in a job is never reached again
    begin, faults = time.monotonic(), Faults(case.first, case.times)
    job = queue.made(faults)
    report.cases += 1
    report.slowest_seconds = max(report.slowest_seconds, round(time.monotonic() - begin, 2))
    report.wrong += [f"{case}: {what}" for what in _faults_of(queue, job, case, clean, faults)]
    if job.status is JobStatus.DONE:
        report.done += 1
        return
    report.failed += 1
    again = queue.made(again=job.id)
    if again.status is not JobStatus.DONE or _file_of(again) != clean:
        report.wrong.append(f"{case}: the next try is {again.status}, or another file")


def _faults_of(queue: Queue, job: Job, case: Case, clean: bytes, faults: Faults) -> list[str]:
    if job.status is JobStatus.DONE:
        return [] if _file_of(job) == clean else ["another file"]
    wrong = []
    if job.status is not JobStatus.FAILED or case.times == 1:
        wrong.append(f"it is {job.status}: {job.error}")
    if not job.error or "emory" not in job.error or job.error.count(". ") or "\n" in job.error:
        wrong.append(f"no sentence about memory: {job.error!r}")
    if queue.engine.manager.loaded():
        wrong.append(f"loaded still: {queue.engine.manager.loaded()}")
    try:
        wait_for(lambda: faults.alive() <= prompt_bytes(queue.engine), 5.0)
    except AssertionError:
        wrong.append(f"{faults.alive() - prompt_bytes(queue.engine)} bytes are held")
    return wrong


def _file_of(job: Job) -> bytes:
    return Path(job.result.video).read_bytes()


def main() -> int:
    """Returns 1 if anything was not as it has to be."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder) / "home", options.jobs, options.seed, options.case)
    print(json.dumps(report.told(), indent=1))
    return 0 if not report.wrong else 1


if __name__ == "__main__":
    raise SystemExit(main())
