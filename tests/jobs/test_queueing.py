"""Changing the queue: order, copies, other requests, pauses, and when all of it will be done."""

import sqlite3

import pytest

from tests.jobs.conftest import request, wait_for
from tests.jobs.test_store import result_of
from wan_core.jobs.database import MIGRATIONS
from wan_core.jobs.executors import InlineExecutor, ProcessExecutor
from wan_core.jobs.job import JobStatus, WorkerState
from wan_core.jobs.store import JobStore
from wan_core.schema import InvalidRequest, ProgressEvent, Settings, Stage


def order(store: JobStore) -> str:
    return "".join(job.request.prompt for job in store.queue())


def submit_all(store: JobStore, prompts: str) -> list[str]:
    return [store.submit(request(prompt)) for prompt in prompts]


def test_waiting_jobs_are_moved_and_run_in_that_order(store: JobStore) -> None:
    a, b, c, d = submit_all(store, "abcd")
    assert store.move(d, before=b) and order(store) == "adbc"
    assert store.move(a, before=None) and order(store) == "dbca"
    assert store.move(b, before=b) and order(store) == "dbca"
    assert store.claim().id == d
    assert not store.move(d, before=None)  # it runs
    assert store.move(a, before=d) and order(store) == "dabc"  # what it was to go before has started
    assert not store.move("nobody", before=a)
    later = store.submit(request("e"))
    assert [store.claim().id for _ in range(4)] == [a, b, c, later]


def test_a_job_that_is_tried_again_takes_its_old_place(store: JobStore) -> None:
    a, _, _ = submit_all(store, "abc")
    store.cancel(a)
    assert order(store) == "bc"
    store.retry(a)
    assert order(store) == "abc"


def test_a_waiting_job_is_replaced_in_place_and_a_running_one_is_not(store: JobStore) -> None:
    a, b, _ = submit_all(store, "abc")
    assert store.replace(b, request("x", num_inference_steps=7))
    job = store.get(b)
    assert order(store) == "axc" and job.request.num_inference_steps == 7 and job.request.seed >= 0
    with pytest.raises(InvalidRequest, match="prompt"):
        store.replace(b, request(" "))
    store.claim()
    assert not store.replace(a, request("y")) and order(store) == "axc"


def test_a_copy_has_a_seed_of_its_own_and_runs_behind_its_original(store: JobStore) -> None:
    a, _ = store.submit(request("a", seed=7)), store.submit(request("b"))
    copy = store.get(store.duplicate(a))
    assert order(store) == "aab" and store.queue()[1].id == copy.id
    assert copy.request.seed != 7 and copy.request.seed >= 0
    store.claim()
    again = store.duplicate(a)  # it runs: its copy is the last
    assert store.queue()[-1].id == again
    assert store.duplicate("nobody") is None


def test_all_are_cancelled_at_once(store: JobStore) -> None:
    a, b, c = submit_all(store, "abc")
    store.claim()
    assert store.cancel_all() == 3
    assert store.is_cancelled(a) and store.get(a).status is JobStatus.RUNNING
    assert {store.get(each).status for each in (b, c)} == {JobStatus.CANCELLED}
    store.confirm_cancel(a)
    assert store.cancel_all() == 0


def test_a_queue_made_before_positions_keeps_its_order(settings: Settings) -> None:
    old = sqlite3.connect(settings.store_path)
    for statement in (s for migration in MIGRATIONS[:3] for s in migration):
        old.execute(statement)
    old.execute("PRAGMA user_version = 3")
    for name in "abc":
        old.execute(
            "INSERT INTO jobs (id, status, model, request, work, created) "
            "VALUES (?, 'queued', 'demo', ?, 1, 0)",
            (name, request(f"Prompt {name}").model_dump_json()),
        )
    old.commit()
    old.close()
    store = JobStore(settings.store_path)
    assert [job.id for job in store.queue()] == ["a", "b", "c"]
    assert [job.position for job in store.queue()] == [1, 2, 3]
    store.cancel("b")
    store.close()
    assert not list(settings.home.glob("*.bad"))


def test_nothing_is_claimed_in_a_pause_and_a_running_job_waits(settings: Settings) -> None:
    seen = []

    def run(job, emit):
        for step in (1, 2, 3):
            seen.append(step)
            if step == 2:
                store.pause()
            emit(ProgressEvent(stage=Stage.DENOISE, step=step, total=3))
        return result_of(settings, job.id)

    freed = []
    executor = InlineExecutor(settings, run, unload=lambda: freed.append(True))
    store = executor.store
    executor.start()
    try:
        first, second = executor.submit(request("a")), executor.submit(request("b"))
        wait_for(lambda: store.is_paused())
        with pytest.raises(AssertionError):
            wait_for(lambda: 3 in seen, 0.6)
        store.pause(False)
        wait_for(lambda: store.get(first).status is JobStatus.DONE)
        wait_for(lambda: seen.count(2) == 2)  # the second one pauses again
        executor.cancel(second)  # which is heard in a pause
        wait_for(lambda: store.get(second).status is JobStatus.CANCELLED)
        third = executor.submit(request("c"))
        executor.unload()
        wait_for(lambda: freed)  # although one waits
        assert store.get(third).status is JobStatus.QUEUED
    finally:
        executor.stop()


def test_a_pause_outlives_the_studio_and_lets_the_worker_go(executor: ProcessExecutor) -> None:
    store = executor.store
    store.pause()
    waiting = executor.submit(request("steps=2"))
    executor.unload()
    wait_for(lambda: store.worker_status().state is WorkerState.STOPPED)
    assert JobStore(store.path).is_paused() and store.get(waiting).status is JobStatus.QUEUED
    store.pause(False)
    wait_for(lambda: store.get(waiting).status is JobStatus.DONE)


def test_each_job_ends_after_those_before_it(store: JobStore, settings: Settings) -> None:
    submit_all(store, "ab")
    assert store.forecast(store.queue()) == {}
    guessed = store.forecast(store.queue(), lambda request: 30.0)
    assert [(f.seconds, f.learnt) for f in guessed.values()] == [(30.0, False), (60.0, False)]
    first = store.claim().id
    store.finish(first, result_of(settings, first, {"denoise": 8.0, "decode": 2.0, "load": 100.0}))
    submit_all(store, "c")
    learnt = store.forecast(store.queue(), lambda request: 30.0)
    assert [(round(f.seconds, 6), f.learnt) for f in learnt.values()] == [(10.0, True), (20.0, True)]
    running = store.claim().id
    store.report(running, ProgressEvent(stage=Stage.DENOISE, step=1, total=5, seconds=6.0))
    times = store.forecast(store.queue())
    assert times[running].seconds == pytest.approx(24.0, abs=0.5)  # what its own steps say is later
    assert [f.seconds - times[running].seconds for f in times.values()] == [0.0, pytest.approx(10.0)]


def test_the_head_of_the_queue_is_what_runs_or_runs_next(store: JobStore) -> None:
    assert store.first() is None
    a, b = submit_all(store, "ab")
    assert store.first().id == a
    store.move(b, before=a)
    assert store.first().id == b
    store.claim()
    store.move(a, before=None)
    assert (store.first().id, store.first().status) == (b, JobStatus.RUNNING)
