import pickle
import threading
import time
from pathlib import Path

import pytest

from tests.jobs.conftest import request
from wan_core.catalog import find_model
from wan_core.jobs import serving
from wan_core.jobs.job import JobStatus, Machine, WorkerState, WorkerStatus
from wan_core.jobs.store import JobStore
from wan_core.schema import GenerationResult, InvalidRequest, ProgressEvent, Settings, Stage
from wan_core.schema.schemes import DeviceFacts


def result_of(settings: Settings, job_id: str, seconds: dict[str, float] | None = None) -> GenerationResult:
    settings.outputs_dir.mkdir(exist_ok=True)
    video, thumbnail = settings.outputs_dir / f"{job_id}.mp4", settings.outputs_dir / f"{job_id}.webp"
    video.write_bytes(b"video")
    thumbnail.write_bytes(b"thumbnail")
    return GenerationResult(
        video=video, thumbnail=thumbnail, request=request(), seconds=seconds or {}, peak_bytes=0
    )


def test_submit_fills_in_the_defaults_and_refuses_what_cannot_run(store: JobStore) -> None:
    job = store.get(store.submit(request()))
    defaults = find_model("demo").defaults
    assert job.status is JobStatus.QUEUED
    assert job.request.num_inference_steps == defaults.num_inference_steps
    assert job.request.seed >= 0
    with pytest.raises(InvalidRequest, match="prompt"):
        store.submit(request(" "))
    assert store.counts()[JobStatus.QUEUED] == 1


def test_ids_cannot_be_guessed_and_unknown_ones_are_nothing(store: JobStore) -> None:
    ids = {store.submit(request()) for _ in range(3)}
    assert len(ids) == 3 and all(len(job_id) == 16 for job_id in ids)
    assert store.get("nobody") is None
    assert store.is_cancelled("nobody")
    assert not store.cancel("nobody")
    assert not store.delete("nobody")


def test_jobs_run_in_the_order_of_submission_and_list_newest_first(store: JobStore) -> None:
    ids = [store.submit(request(str(i))) for i in range(4)]
    assert [job.id for job in store.list()] == ids[::-1]
    assert [job.id for job in store.list(limit=2, offset=1)] == [ids[2], ids[1]]
    assert store.claim().id == ids[0]
    assert [job.id for job in store.queue()] == ids
    assert [job.id for job in store.list(statuses=["queued"])] == ids[:0:-1]
    assert store.list(statuses=[]) == []


def test_a_job_is_claimed_by_exactly_one_of_many(store: JobStore) -> None:
    ids = [store.submit(request()) for _ in range(20)]
    claimed: list[str] = []

    def claim_all() -> None:
        while (job := store.claim()) is not None:
            claimed.append(job.id)

    threads = [threading.Thread(target=claim_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(ids)


def test_a_report_shows_on_the_job_and_tells_the_pace(store: JobStore) -> None:
    job_id = store.submit(request())
    store.claim()
    store.report(job_id, ProgressEvent(stage=Stage.DENOISE, step=4, total=10, seconds=8.0, message="m"))
    job = store.get(job_id)
    assert (job.stage, job.step, job.total, job.seconds, job.message) == (Stage.DENOISE, 4, 10, 8.0, "m")
    assert job.seconds_per_step == 2.0
    assert job.seconds_left == pytest.approx(12.0, abs=0.5)
    assert job.attempts == 1 and job.elapsed < 5


def test_a_preview_is_replaced_whole_and_its_version_counts(store: JobStore, settings: Settings) -> None:
    job_id = store.submit(request())
    store.claim()
    assert store.get(job_id).preview is None
    contents = [bytes([i]) * 200_000 for i in range(20)]
    seen: set[bytes] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            if (preview := store.get(job_id).preview) is not None:
                seen.add(preview.read_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    for step, content in enumerate(contents):
        store.report(job_id, ProgressEvent(stage=Stage.DENOISE, step=step, preview=content))
    done.set()
    watcher.join()
    assert seen <= set(contents)
    job = store.get(job_id)
    assert job.preview == settings.previews_dir / f"{job_id}.webp"
    assert job.preview.read_bytes() == contents[-1]
    assert job.preview_version == 20
    assert list(settings.previews_dir.iterdir()) == [job.preview]
    store.report(job_id, ProgressEvent(stage=Stage.DENOISE, step=21))
    assert store.get(job_id).preview_version == 20


def test_finish_keeps_the_result_and_drops_the_preview(store: JobStore, settings: Settings) -> None:
    job_id = store.submit(request())
    store.claim()
    store.report(job_id, ProgressEvent(stage=Stage.DENOISE, step=1, preview=b"x"))
    result = result_of(settings, job_id)
    store.finish(job_id, result)
    job = store.get(job_id)
    assert job.status is JobStatus.DONE and job.status.is_final
    assert job.result == result
    assert job.preview is None


def test_a_preview_goes_with_its_job_however_it_ends(
    store: JobStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_by_crashes() -> None:
        store.abandon_running("the worker crashed")
        assert len(list(settings.previews_dir.iterdir())) == 1  # it runs once more
        store.claim()
        store.abandon_running("the worker crashed")

    def stop_while_cancelled() -> None:
        store.cancel(job_id)
        store.release_running()

    ends = (lambda: store.fail(job_id, "No."), lambda: store.confirm_cancel(job_id))
    for end in (*ends, fail_by_crashes, stop_while_cancelled):
        job_id = store.submit(request())
        store.claim()
        store.report(job_id, ProgressEvent(stage=Stage.DENOISE, step=1, preview=b"x"))
        end()
        job = store.get(job_id)
        assert job.status.is_final and job.preview is None
        store.sweep_previews()
        assert len(list(settings.previews_dir.iterdir())) == 1  # a browser may be fetching it
        with monkeypatch.context() as later:
            later.setattr(serving, "PREVIEW_SECONDS", -1.0)
            store.sweep_previews()
        assert not list(settings.previews_dir.iterdir())


def test_what_is_no_longer_running_cannot_be_finished_or_failed(store: JobStore, settings: Settings) -> None:
    job_id = store.submit(request())
    store.claim()
    store.release_running()
    store.finish(job_id, result_of(settings, job_id))
    store.fail(job_id, "no")
    store.report(job_id, ProgressEvent(stage=Stage.DENOISE, step=1))
    job = store.get(job_id)
    assert (job.status, job.attempts, job.step, job.error) == (JobStatus.QUEUED, 0, 0, "")


def test_cancel_is_immediate_when_queued_and_a_wish_when_running(store: JobStore) -> None:
    running, queued = store.submit(request()), store.submit(request())
    store.claim()
    assert store.cancel(queued) and store.get(queued).status is JobStatus.CANCELLED
    assert not store.is_cancelled(running)
    assert store.cancel(running) and store.get(running).status is JobStatus.RUNNING
    assert store.is_cancelled(running) and store.get(running).cancel_requested
    store.confirm_cancel(running)
    assert store.get(running).status is JobStatus.CANCELLED
    assert not store.cancel(running)


def test_a_running_job_that_is_to_stop_is_known(store: JobStore) -> None:
    job_id, waiting = store.submit(request()), store.submit(request())
    store.claim()
    assert store.cancelled_running() is None
    store.cancel(waiting)
    assert store.cancelled_running() is None
    store.cancel(job_id)
    for stage, loads in ((Stage.LOAD, True), (Stage.DENOISE, False)):
        store.report(job_id, ProgressEvent(stage=stage, step=1, total=2))
        assert store.cancelled_running() == (job_id, loads)


def test_an_abandoned_job_runs_once_more_and_then_has_failed(store: JobStore) -> None:
    first, second = store.submit(request()), store.submit(request())
    store.claim()
    store.abandon_running("the worker crashed (SIGSEGV)")
    assert store.get(first).status is JobStatus.QUEUED
    assert store.claim().id == first, "it keeps its place"
    store.abandon_running("the worker crashed (SIGSEGV)")
    job = store.get(first)
    assert (job.status, job.attempts) == (JobStatus.FAILED, 2)
    assert job.error == (
        "Given up after 2 attempts: the worker crashed (SIGSEGV); try a smaller size or fewer frames."
    )
    assert store.get(second).status is JobStatus.QUEUED


def test_a_cancelled_job_is_not_revived_by_the_death_of_its_worker(store: JobStore) -> None:
    job_id = store.submit(request())
    store.claim()
    store.cancel(job_id)
    store.abandon_running("the worker crashed (SIGSEGV)")
    assert store.get(job_id).status is JobStatus.CANCELLED


def test_delete_removes_own_files_and_nothing_else(store: JobStore, settings: Settings) -> None:
    job_id = store.submit(request())
    store.claim()
    with pytest.raises(InvalidRequest, match="still running"):
        store.delete(job_id)
    settings.latents_dir.mkdir()
    latents, foreign = settings.latents_dir / f"{job_id}.safetensors", settings.home / "mine.webp"
    latents.touch()
    foreign.touch()
    result = result_of(settings, job_id)
    store.finish(job_id, result.model_copy(update={"thumbnail": foreign}))
    assert store.delete(job_id)
    assert store.get(job_id) is None and result.video.exists()
    assert store.purge(60.0) == 0 and result.video.exists()
    assert store.purge(0.0) == 1
    assert not result.video.exists() and not latents.exists()
    assert foreign.exists()


def test_a_result_keeps_its_warnings_and_needs_no_thumbnail(store: JobStore, settings: Settings) -> None:
    job_id = store.submit(request())
    store.claim()
    bare = result_of(settings, job_id).model_copy(update={"thumbnail": None, "warnings": ("Too long.",)})
    store.finish(job_id, bare)
    assert store.get(job_id).result == bare
    assert store.delete(job_id) and store.purge(0.0) == 1 and not bare.video.exists()


def test_the_estimate_scales_the_pace_of_like_jobs_without_loading(
    store: JobStore, settings: Settings
) -> None:
    asked = request(num_inference_steps=10, num_frames=9, width=64, height=64)
    assert store.estimate_seconds(asked) is None
    job_id = store.submit(asked)
    store.claim()
    store.finish(job_id, result_of(settings, job_id, {"load": 99.0, "denoise": 8.0, "decode": 2.0}))
    assert store.estimate_seconds(asked) == pytest.approx(10.0)
    assert store.estimate_seconds(asked.model_copy(update={"num_inference_steps": 20})) == pytest.approx(20)
    assert store.estimate_seconds(asked.model_copy(update={"width": 128})) == pytest.approx(20)
    assert store.estimate_seconds(asked.model_copy(update={"guidance_scale": 1.0})) == pytest.approx(5)
    assert store.estimate_seconds(asked.model_copy(update={"model": "wan2.1-t2v-14b"})) is None


def test_what_an_upscaler_takes_is_learnt_apart(store: JobStore, settings: Settings) -> None:
    plain = request(num_inference_steps=10, num_frames=9, width=64, height=64)
    enlarged = plain.model_copy(update={"upscaler": "large.pth", "upscale": 2.0})
    for asked, seconds in ((plain, {"denoise": 8.0}), (enlarged, {"denoise": 8.0, "finish": 32.0})):
        assert store.estimate_seconds(asked) is None
        job_id = store.submit(asked)
        store.claim()
        store.finish(job_id, result_of(settings, job_id, seconds))
    assert store.estimate_seconds(plain) == pytest.approx(8.0)
    assert store.estimate_seconds(enlarged) == pytest.approx(40.0)
    store.submit(plain)
    store.submit(enlarged)
    assert [told.seconds for told in store.forecast(store.queue()).values()] == pytest.approx([8.0, 48.0])
    assert store.estimate_seconds(enlarged.model_copy(update={"upscaler": "other.pth"})) is None


def test_the_worker_is_loading_or_busy_by_the_stage_of_its_job(store: JobStore) -> None:
    assert store.worker_status() == WorkerStatus()
    beat = WorkerStatus(WorkerState.IDLE, 42, 0.0, "Fake GPU", 1, 2, {"vae": 3}, "fine")
    store.beat(beat)
    status = store.worker_status()
    assert (status.state, status.pid, status.device) == (WorkerState.IDLE, 42, "Fake GPU")
    assert (status.memory_used, status.memory_total, status.components) == (1, 2, {"vae": 3})
    assert abs(status.heartbeat - time.time()) < 5
    job_id = store.submit(request())
    store.claim()
    assert store.worker_status().state is WorkerState.LOADING
    store.report(job_id, ProgressEvent(stage=Stage.ENCODE))
    assert store.worker_status().state is WorkerState.BUSY


def test_what_the_machine_can_do_outlives_its_worker(store: JobStore) -> None:
    machine = Machine(DeviceFacts("cuda", (8, 9), "Fake GPU"), 10, 20)
    store.beat(WorkerStatus(WorkerState.IDLE, 42, machine=machine))
    assert store.worker_status().machine == machine
    store.beat(WorkerStatus(message="The models are unloaded."))
    assert (store.worker_status().state, store.worker_status().machine) == (WorkerState.STOPPED, machine)


def test_a_pickled_store_opens_the_same_file(store: JobStore) -> None:
    job_id = store.submit(request())
    copy = pickle.loads(pickle.dumps(store))
    assert copy.get(job_id) == store.get(job_id)
    copy.close()


def test_ten_thousand_jobs_list_in_a_moment(store: JobStore, tmp_path: Path) -> None:
    store.submit(request())
    connection = store._database.connection()
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) "
        "INSERT INTO jobs (id, status, model, request, work, created) "
        "SELECT 'job' || i, 'done', model, request, work, created FROM n, jobs"
    )
    start = time.perf_counter()
    assert len(store.list(limit=20, offset=5000, statuses=["done"])) == 20
    assert len(store.queue()) == 1
    assert store.counts()[JobStatus.DONE] == 10_000
    assert store.worker_status().state is WorkerState.STOPPED
    assert time.perf_counter() - start < 0.5
