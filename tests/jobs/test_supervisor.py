import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.jobs.conftest import fake_command, process_executor, request, wait_for
from wan_core.jobs.executors import InlineExecutor, ProcessExecutor
from wan_core.jobs.job import Job, JobStatus, WorkerState
from wan_core.jobs.lock import HomeLock
from wan_core.jobs.store import JobStore
from wan_core.jobs.supervisor import describe_exit
from wan_core.schema import Settings, StoreError

APP = """
import sys, time
from tests.jobs.conftest import process_executor
from wan_core.schema import Settings
process_executor(Settings.model_validate_json(sys.argv[1])).start()
time.sleep(60)
"""


def ended(store: JobStore, job_id: str) -> Job:
    return wait_for(lambda: job if (job := store.get(job_id)).status.is_final else None)


def running(store: JobStore, job_id: str) -> Job:
    """The job once it has taken a step."""
    return wait_for(lambda: job if (job := store.get(job_id)).step else None)


def is_alive(pid: int) -> bool:
    """Whether a process still works; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_queue_is_worked_off_by_one_worker(executor: ProcessExecutor) -> None:
    ids = [executor.submit(request(f"steps={n}")) for n in (3, 4, 5)]
    jobs = [ended(executor.store, job_id) for job_id in ids]
    assert [job.status for job in jobs] == [JobStatus.DONE] * 3
    assert [job.step for job in jobs] == [3, 4, 5]
    assert jobs[0].finished <= jobs[1].started
    status = executor.store.worker_status()
    assert (status.device, status.components) == ("Fake", {"vae": 3})
    assert status.pid not in (None, os.getpid())


def test_a_bug_in_a_job_costs_that_job_and_a_fresh_worker(executor: ProcessExecutor) -> None:
    bad, good = executor.submit(request("bug")), executor.submit(request())
    assert ended(executor.store, bad).status is JobStatus.FAILED
    assert ended(executor.store, good).status is JobStatus.DONE


def test_a_running_job_is_cancelled_within_a_step(executor: ProcessExecutor) -> None:
    job_id = executor.submit(request("steps=10000 sleep=0.05"))
    running(executor.store, job_id)
    pid = executor.store.worker_status().pid
    start = time.monotonic()
    assert executor.cancel(job_id)
    assert ended(executor.store, job_id).status is JobStatus.CANCELLED
    assert time.monotonic() - start < 1.0
    assert executor.store.worker_status().pid == pid, "the worker stays"


def test_a_worker_that_ignores_a_cancellation_is_replaced(executor: ProcessExecutor) -> None:
    deaf, next_job = executor.submit(request("deaf sleep=60")), executor.submit(request())
    wait_for(lambda: executor.store.get(deaf).status is JobStatus.RUNNING)
    executor.cancel(deaf)
    assert ended(executor.store, deaf).status is JobStatus.CANCELLED
    job = ended(executor.store, next_job)
    assert (job.status, job.attempts) == (JobStatus.DONE, 1)


def test_a_job_that_kills_its_worker_once_is_done_and_twice_has_failed(executor: ProcessExecutor) -> None:
    unlucky = executor.submit(request("die-once=SIGSEGV"))
    deadly = executor.submit(request("die=SIGKILL"))
    innocent = executor.submit(request())
    job = ended(executor.store, unlucky)
    assert (job.status, job.attempts) == (JobStatus.DONE, 2)
    job = ended(executor.store, deadly)
    assert (job.status, job.attempts) == (JobStatus.FAILED, 2)
    assert job.error == (
        "Given up after 2 attempts: the worker was killed (SIGKILL), most likely because the machine ran "
        "out of memory; try a smaller size or fewer frames."
    )
    job = ended(executor.store, innocent)
    assert (job.status, job.attempts) == (JobStatus.DONE, 1)


def test_a_killed_studio_takes_its_worker_along_and_resumes_its_queue(
    store: JobStore, settings: Settings
) -> None:
    app = subprocess.Popen([sys.executable, "-c", APP, settings.model_dump_json()])
    first, second = store.submit(request("steps=40 sleep=0.05")), store.submit(request())
    running(store, first)
    worker = store.worker_status().pid
    app.send_signal(signal.SIGKILL)
    app.wait()
    executor = process_executor(settings)
    executor.start()
    assert not is_alive(worker), "the lock outlives the studio until its worker has ended"
    job = ended(store, first)
    assert (job.status, job.attempts) == (JobStatus.DONE, 2)
    assert ended(store, second).status is JobStatus.DONE
    executor.stop()


def test_a_stopped_studio_keeps_the_running_job_for_the_next_start(
    store: JobStore, settings: Settings
) -> None:
    executor = process_executor(settings)
    executor.start()
    job_id = executor.submit(request("steps=40 sleep=0.05"))
    running(store, job_id)
    worker = store.worker_status().pid
    executor.stop()
    assert not is_alive(worker)
    job = store.get(job_id)
    assert (job.status, job.attempts) == (JobStatus.QUEUED, 0)
    assert store.worker_status().state is WorkerState.STOPPED
    executor.start()
    assert ended(store, job_id).status is JobStatus.DONE
    executor.stop()


def test_unloading_ends_the_idle_worker_until_the_next_job(executor: ProcessExecutor) -> None:
    store = executor.store
    job_id = executor.submit(request("steps=4 sleep=0.05"))
    running(store, job_id)
    pid = store.worker_status().pid
    executor.unload()
    wait_for(lambda: store.worker_status().message.startswith("The models are unloaded"))
    assert store.get(job_id).status is JobStatus.DONE, "a job is not interrupted"
    assert not is_alive(pid)
    time.sleep(0.1)
    assert store.worker_status().state is WorkerState.STOPPED
    assert ended(store, executor.submit(request())).status is JobStatus.DONE


def test_other_settings_count_from_the_next_job_on_and_cost_the_running_one_nothing(
    executor: ProcessExecutor, settings: Settings
) -> None:
    store = executor.store
    first, second = executor.submit(request("steps=20 sleep=0.05")), executor.submit(request())
    running(store, first)
    pid = store.worker_status().pid
    executor.change(settings.model_copy(update={"vae_tile": 320}))
    job = ended(store, first)
    assert (job.status, job.attempts) == (JobStatus.DONE, 1)
    job = ended(store, second)
    assert (job.status, job.attempts) == (JobStatus.DONE, 1)
    assert [(settings.home / f"tile-{id}").read_text() for id in (first, second)] == ["256", "320"]
    assert store.worker_status().pid != pid


def test_an_idle_worker_makes_way_for_other_settings(executor: ProcessExecutor, settings: Settings) -> None:
    assert ended(executor.store, executor.submit(request()))
    executor.change(settings.model_copy(update={"vae_tile": 320}))
    job_id = executor.submit(request())
    assert ended(executor.store, job_id).status is JobStatus.DONE
    assert (settings.home / f"tile-{job_id}").read_text() == "320"


def test_settings_of_the_studio_alone_need_no_other_worker(
    executor: ProcessExecutor, settings: Settings
) -> None:
    store = executor.store
    assert ended(store, executor.submit(request()))
    pid = store.worker_status().pid
    executor.change(settings.model_copy(update={"idle_unload_minutes": 0.0}))
    assert ended(store, executor.submit(request()))
    assert store.worker_status().pid == pid
    executor.change(settings.model_copy(update={"idle_unload_minutes": 0.3 / 60}))
    wait_for(lambda: store.worker_status().message.startswith("The models are unloaded"))
    assert not is_alive(pid)


@pytest.mark.parametrize("kind", ["process", "inline"])
def test_a_second_studio_on_one_home_is_refused(
    executor: ProcessExecutor, settings: Settings, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(HomeLock.acquire, "__defaults__", (0.1,))
    second = process_executor(settings) if kind == "process" else InlineExecutor(settings, print)
    with pytest.raises(StoreError, match=rf"Another Wan Studio .process {os.getpid()}. is using"):
        second.start()
    assert ended(executor.store, executor.submit(request())).status is JobStatus.DONE


def test_a_worker_that_cannot_start_is_tried_again_and_the_page_learns_why(settings: Settings) -> None:
    executor = process_executor(settings)
    executor._command = lambda _: (sys.executable, "-c", "raise SystemExit(3)")
    executor.start()
    job_id = executor.submit(request())
    wait_for(lambda: "exit code 3" in executor.store.worker_status().message)
    assert executor.store.get(job_id).status is JobStatus.QUEUED
    executor._supervisor._command = fake_command(settings)
    assert ended(executor.store, job_id).status is JobStatus.DONE
    executor.stop()


def test_how_a_worker_ended_is_said_in_words() -> None:
    assert describe_exit(-signal.SIGSEGV) == "the worker crashed (SIGSEGV)"
    assert describe_exit(-40) == "the worker crashed (signal 40)"
    assert describe_exit(1) == "the worker ended with exit code 1"
