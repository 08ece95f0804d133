import pickle
import subprocess
import sys

import pytest

from tests.faults.drawing import drawing
from tests.jobs.conftest import request, wait_for
from tests.jobs.fake_engine import fake_run
from wan_core.jobs import runner
from wan_core.jobs.executors import InlineExecutor
from wan_core.jobs.job import JobStatus
from wan_core.jobs.recovery import recover
from wan_core.jobs.runner import Reporter, run_job
from wan_core.jobs.store import JobStore
from wan_core.schema import Cancelled, ProgressEvent, Settings, Stage, StoreError


def test_a_job_ends_as_its_run_does(store: JobStore, settings: Settings) -> None:
    done, failed, broken = (store.submit(request(prompt)) for prompt in ("steps=3", "fail", "bug"))
    run = fake_run(settings)
    assert [run_job(store, store.claim(), run) for _ in range(3)] == [True, True, False]
    assert store.get(done).result.video.read_bytes() == b"video"
    assert store.get(failed).error == "The video is one colour; try another seed."
    error = store.get(broken).error
    assert "ZeroDivisionError" in error and broken in error and "secret" not in error


def test_cancelling_stops_a_run_at_its_next_event(store: JobStore) -> None:
    job_id = store.submit(request())
    steps: list[int] = []

    def run(job, emit):
        for step in range(10):
            steps.append(step)
            if step == 4:
                store.cancel(job.id)
            emit(ProgressEvent(stage=Stage.DENOISE, step=step, total=10))

    assert run_job(store, store.claim(), run)
    assert steps == [0, 1, 2, 3, 4]
    assert store.get(job_id).status is JobStatus.CANCELLED


def test_a_flood_of_events_is_thinned_but_news_always_pass(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = store.submit(request())
    store.claim()
    written: list[tuple[Stage, int]] = []
    monkeypatch.setattr(store, "report", lambda _, event: written.append((event.stage, event.step)))
    emit = Reporter(store, job_id)
    for step in range(1001):
        emit(ProgressEvent(stage=Stage.DOWNLOAD, step=step, total=1000))
    emit(ProgressEvent(stage=Stage.DENOISE, step=1, total=9))
    emit(ProgressEvent(stage=Stage.DENOISE, step=2, total=9, preview=b"p"))
    assert written[0] == (Stage.DOWNLOAD, 0)
    assert written[-3:] == [(Stage.DOWNLOAD, 1000), (Stage.DENOISE, 1), (Stage.DENOISE, 2)]
    assert len(written) < 30


def test_within_a_step_nothing_is_told_but_the_order_to_stop_is_heard(store: JobStore, monkeypatch) -> None:
    """Else half of a step would count for those before it, and the time left would jump."""
    monkeypatch.setattr("wan_core.jobs.runner.REPORT_SECONDS", 0.0)
    job_id = store.submit(request())
    store.claim()
    emit = Reporter(store, job_id)
    for step, seconds in ((0, 0.0), (0, 4.0), (1, 8.0), (1, 12.0)):
        emit(ProgressEvent(stage=Stage.DENOISE, step=step, total=5, seconds=seconds))
    job = store.get(job_id)
    assert (job.step, job.seconds, job.seconds_per_step) == (1, 8.0, 8.0)
    store.cancel(job_id)
    with pytest.raises(Cancelled):
        emit(ProgressEvent(stage=Stage.DENOISE, step=1, total=5, seconds=16.0))


def test_a_full_disk_costs_reports_but_not_the_job(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = store.submit(request())
    store.claim()

    def refuse(*_: object) -> None:
        raise StoreError("database or disk is full")

    monkeypatch.setattr(store, "report", refuse)
    Reporter(store, job_id)(ProgressEvent(stage=Stage.DENOISE, step=1, total=2))


def test_a_pickled_reporter_reports_and_cancels(store: JobStore) -> None:
    job_id = store.submit(request())
    store.claim()
    emit = pickle.loads(pickle.dumps(Reporter(store, job_id)))
    emit(ProgressEvent(stage=Stage.DENOISE, step=3, total=5))
    assert store.get(job_id).step == 3
    store.cancel(job_id)
    with pytest.raises(Cancelled):
        emit(ProgressEvent(stage=Stage.DENOISE, step=4, total=5))


def test_the_inline_executor_runs_its_queue_and_unloads_when_idle(settings: Settings) -> None:
    unloaded: list[JobStatus] = []
    executor = InlineExecutor(
        settings, fake_run(settings), lambda: unloaded.append(executor.store.get(last).status)
    )
    first, last = executor.submit(request("steps=1")), executor.submit(request("steps=5 sleep=0.02"))
    executor.unload()
    executor.start()
    wait_for(lambda: unloaded)
    assert unloaded == [JobStatus.DONE]
    assert executor.store.get(first).status is JobStatus.DONE
    executor.stop()


def test_the_inline_executor_adopts_settings_between_jobs(settings: Settings) -> None:
    adopted: list[tuple[int, JobStatus]] = []
    executor = InlineExecutor(
        settings,
        fake_run(settings),
        adopt=lambda changed: adopted.append((changed.vae_tile, executor.store.get(job_id).status)),
    )
    executor.start()
    job_id = executor.submit(request("steps=5 sleep=0.02"))
    wait_for(lambda: executor.store.get(job_id).step)
    executor.change(settings.model_copy(update={"vae_tile": 128}))
    wait_for(lambda: adopted)
    assert adopted == [(128, JobStatus.DONE)]
    executor.stop()


def test_stopping_inline_puts_the_running_job_back(settings: Settings) -> None:
    executor = InlineExecutor(settings, fake_run(settings))
    executor.start()
    job_id = executor.submit(request("steps=1000 sleep=0.01"))
    wait_for(lambda: executor.store.get(job_id).step)
    executor.stop()
    job = executor.store.get(job_id)
    assert (job.status, job.attempts) == (JobStatus.QUEUED, 0)
    executor.start()
    wait_for(lambda: executor.store.get(job_id).status is JobStatus.RUNNING)
    assert executor.cancel(job_id)
    wait_for(lambda: executor.store.get(job_id).status is JobStatus.CANCELLED)
    executor.stop()


def test_no_torch_on_the_side_of_the_web_process() -> None:
    code = (
        "import sys, wan_core.jobs.store, wan_core.jobs.supervisor, wan_core.jobs.executors, "
        "wan_core.jobs.worker; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_job_short_of_memory_runs_again_one_level_lower_when_asked(
    store: JobStore, settings: Settings
) -> None:
    run = fake_run(settings)
    job_id, other = store.submit(request("oom")), store.submit(request())
    assert run_job(store, store.claim(), run)
    job = store.get(job_id)
    assert (job.status, job.error) == (JobStatus.FAILED, "The device ran out of memory while denoising.")
    assert (job.profile, job.lower, job.remedy) == (None, "blocks", "less memory")
    assert run_job(store, store.claim(), run)  # the queue goes on
    assert store.get(other).status is JobStatus.DONE
    assert store.retry(job_id)
    job = store.get(job_id)
    assert (job.status, job.profile, job.lower, job.error) == (JobStatus.QUEUED, "blocks", None, "")
    run_job(store, store.claim(), run)
    job = store.get(job_id)
    assert (job.status, job.profile, job.remedy) == (JobStatus.DONE, "blocks", None)
    assert not store.retry(job_id)


def test_a_job_whose_latents_are_kept_is_decoded_again_when_asked(
    store: JobStore, settings: Settings
) -> None:
    run, job_id = fake_run(settings), store.submit(request("oom-decode"))
    run_job(store, store.claim(), run)
    job = store.get(job_id)
    latents = settings.latents_dir / f"{job_id}.safetensors"
    assert (job.status, job.remedy, job.latents, job.lower) == (JobStatus.FAILED, "decode", latents, None)
    assert store.retry(job_id)
    assert (store.get(job_id).remedy, store.get(job_id).latents) == (None, None)
    run_job(store, store.claim(), run)
    assert store.get(job_id).status is JobStatus.DONE


def test_what_cannot_be_mended_offers_no_remedy(store: JobStore, settings: Settings) -> None:
    job_id = store.submit(request("fail"))
    assert store.get(job_id).remedy is None
    assert not store.retry(job_id)
    run_job(store, store.claim(), fake_run(settings))
    assert store.get(job_id).remedy is None
    assert not store.retry("no-such-job")
    assert store.cancel(queued := store.submit(request()))
    assert store.retry(queued)  # stopped before it began: it simply runs
    assert store.get(queued).status is JobStatus.QUEUED
    run_job(store, store.claim(), fake_run(settings))
    assert store.get(queued).status is JobStatus.DONE


def test_an_executor_takes_up_what_is_tried_again(settings: Settings) -> None:
    executor = InlineExecutor(settings, fake_run(settings))
    executor.start()
    job_id = executor.submit(request("oom"))
    wait_for(lambda: executor.store.get(job_id).status is JobStatus.FAILED)
    assert executor.retry(job_id)
    wait_for(lambda: executor.store.get(job_id).status is JobStatus.DONE)
    executor.stop()


def test_an_end_that_the_disk_refuses_is_written_down_later(
    store: JobStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, finish, refusals = store.submit(request()), store.finish, [1, 2, 3]

    def refused(*ending: object) -> bool:
        if refusals:
            refusals.pop()
            raise StoreError("database or disk is full")
        return finish(*ending)

    monkeypatch.setattr(store, "finish", refused)
    monkeypatch.setattr(runner, "RETRY_SECONDS", 0.0)
    assert run_job(store, store.claim(), fake_run(settings))
    assert store.get(job_id).status is JobStatus.DONE
    monkeypatch.setattr(runner, "PATIENCE_SECONDS", 0.0)
    refusals += [1, 2]
    store.submit(request())
    with pytest.raises(StoreError):
        run_job(store, store.claim(), fake_run(settings))
    assert store.has_running(), "whoever looks after the queue has it run again"


def test_a_job_that_was_put_back_meanwhile_replaces_its_own_file(store: JobStore, settings: Settings) -> None:
    job_id = store.submit(request(width=64, height=64, num_frames=5))
    run, put_back = drawing(settings), [True]

    def interrupted(job, emit):
        made = run(job, emit)
        if put_back:
            put_back.clear()
            store.release_running()  # as a studio that is stopped does
        return made

    run_job(store, store.claim(), interrupted)
    assert store.get(job_id).status is JobStatus.QUEUED
    assert recover(store, settings.outputs_dir) == 0, "the file that is there is no stranger's"
    run_job(store, store.claim(), interrupted)
    assert store.get(job_id).status is JobStatus.DONE
    names = {path.name for path in settings.outputs_dir.iterdir()}
    assert len(names) == 3 and store.get(job_id).result.video.name in names
