"""Death at the named places of ``wan_core.failpoints``: in a job, in a worker, while files are deleted."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.at_failpoints import ROOT
from tests.faults.crashes import SmallStudio
from tests.faults.drawing import drawing
from tests.faults.forks import in_child
from tests.jobs.conftest import request, wait_for
from wan_core import failpoints
from wan_core.failpoints import VARIABLE, Failpoint, failpoint
from wan_core.jobs.executors import InlineExecutor
from wan_core.jobs.job import JobStatus
from wan_core.jobs.recovery import recover
from wan_core.jobs.store import JobStore
from wan_core.schema import Settings

pytestmark = pytest.mark.faults

PLACES = (
    *("commit:2", "committed:1", "step:4", "latents", "encode:2"),
    *("fsync:3", "rename:3", "renamed:3", "finish", "step:3:SIGSEGV"),
)


def test_a_job_survives_the_death_of_its_process_anywhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.faults.at_failpoints", str(tmp_path), *PLACES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert set(report) == set(PLACES)
    assert {place: found["wrong"] for place, found in report.items() if found["wrong"]} == {}


@pytest.mark.parametrize("place", ["step:2", "renamed:1", "encode:1", "finish"])
def test_the_variable_kills_one_worker_and_the_next_one_ends_the_job(tmp_path: Path, place: str) -> None:
    settings = Settings(home=tmp_path / "home", device="cpu", offline=True)
    studio = SmallStudio(settings, {VARIABLE: f"{place}@{tmp_path / 'once'}"})
    studio.start()
    job_id = studio.ask("submit", "steps=4")
    store = JobStore(settings.store_path)
    job = wait_for(lambda: job if (job := store.get(job_id)).status.is_final else None)
    studio.stop()
    store.close()
    assert (tmp_path / "once").exists()
    assert (job.status, job.attempts) == (JobStatus.DONE, 2)


def test_deleted_files_do_not_come_back_if_deleting_is_interrupted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = InlineExecutor(settings, drawing(settings))
    executor.start()
    job_id = executor.submit(request(width=64, height=64, num_frames=5))
    wait_for(lambda: executor.store.get(job_id).status is JobStatus.DONE)
    executor.stop()
    executor.store.delete(job_id)
    executor.store.close()

    def purge(say: object) -> None:
        failpoints._armed = Failpoint("purge")
        executor.store.purge(0.0)

    assert in_child(purge, 10) == []
    assert recover(executor.store, settings.outputs_dir) == 0
    assert executor.store.purge(0.0) == 1
    assert executor.store.list() == [] and list(settings.outputs_dir.iterdir()) == []


def test_every_name_is_a_place_in_the_program() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "wan_core").rglob("*.py"))
    assert set(re.findall(r'failpoint\("(\w+)"\)', source)) == set(failpoints.NAMES)


def test_without_the_variable_nothing_happens() -> None:
    assert VARIABLE not in os.environ
    for name in failpoints.NAMES:
        failpoint(name)


def test_errors_come_at_the_passing_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "_armed", Failpoint("rename:2:ENOSPC"))
    failpoint("rename")
    failpoint("fsync")
    with pytest.raises(OSError, match="No space left"):
        failpoint("rename")
    failpoint("rename")
    with pytest.raises(ValueError, match="there are commit"):
        Failpoint("nowhere")
