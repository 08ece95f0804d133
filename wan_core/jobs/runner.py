"""Running the jobs of a store, one after the other: what the worker and the inline executor share."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from wan_core.failpoints import failpoint
from wan_core.jobs.job import Job
from wan_core.jobs.job_log import written_down
from wan_core.jobs.store import JobStore
from wan_core.media.moving import write_moving
from wan_core.media.reserving import release
from wan_core.schema import (
    Cancelled,
    Emit,
    GenerationResult,
    MediaError,
    OutOfMemory,
    ProgressEvent,
    Stage,
    StoreError,
    WanStudioError,
)

log = logging.getLogger(__name__)

Run = Callable[[Job, Emit], GenerationResult]
"""``run(job, emit)``: makes the video of a job; the engine's ``generate``."""

REPORT_SECONDS = 0.2
PAUSE_SECONDS = 0.25
"""Between two looks whether a pause is over."""

PATIENCE_SECONDS, RETRY_SECONDS = 60.0, 0.5
"""How long, and how often, the end of a job is tried to be written down."""


class Reporter:
    """The ``emit`` of one job: stops or waits at an event if it is to, writes what is worth reading.

    Events of one stage closer together than ``REPORT_SECONDS`` are left out, unless they carry a
    preview or complete the stage. One that comes within a step, as between the windows of a long video, only
    stops or waits: the time of a step that is not done would count for those that are. A full disk costs
    reports, not the job. It can be pickled, so an engine that runs in a forked process reports straight to
    the store.
    """

    def __init__(self, store: JobStore, job_id: str) -> None:
        self._store = store
        self._job_id = job_id
        self._stage: Stage | None = None
        self._step: tuple[Stage, int] | None = None
        self._written = 0.0

    def __call__(self, event: ProgressEvent) -> None:
        """Report one event.

        Raises:
            Cancelled: the job is to stop.
        """
        failpoint("step")
        try:
            self._tell(event)
        except (StoreError, OSError) as error:
            log.warning("Progress of job %s could not be written: %s", self._job_id, error)

    def _tell(self, event: ProgressEvent) -> None:
        self._check()
        step, now = (event.stage, event.step), time.monotonic()
        if step == self._step == (Stage.DENOISE, event.step):
            return
        self._step = step
        is_news = event.stage is not self._stage or event.preview is not None or event.step == event.total
        if is_news or now - self._written >= REPORT_SECONDS:
            self._stage, self._written = event.stage, now
            self._store.report(self._job_id, event)

    def _check(self) -> None:
        """Return when the job may go on: not in a pause."""
        while True:
            if self._store.is_cancelled(self._job_id):
                raise Cancelled
            if not self._store.is_paused():
                return
            time.sleep(PAUSE_SECONDS)


def run_job(store: JobStore, job: Job, run: Run) -> bool:
    """Run a claimed job and write down how it ended; only the store itself may raise.

    Returns whether the process is still trustworthy: after an unexpected error (say of CUDA) it may not
    be, and whoever can start a fresh one should.
    """
    with written_down(job, store.log_path(job.id)):
        outcome = _outcome(store, job, run)
    failpoint("finish")
    is_written = _insist(outcome.write_down)
    if outcome.result is not None and is_written:
        release(outcome.result.video)
    return outcome.trustworthy


@dataclass(frozen=True)
class _Outcome:
    """How a job ended, how the store is told, and whether the process is still to be trusted."""

    write_down: Callable[[], bool | None]
    result: GenerationResult | None = None
    trustworthy: bool = True


def _outcome(store: JobStore, job: Job, run: Run) -> _Outcome:
    log.info("Job %s starts (attempt %d).", job.id, job.attempts)
    try:
        result = run(job, Reporter(store, job.id))
        _give_moving_thumbnail(result)
        return _Outcome(partial(store.finish, job.id, result), result)
    except Cancelled:
        return _Outcome(partial(store.confirm_cancel, job.id))
    except OutOfMemory as error:
        log.warning("Job %s failed: %s", job.id, str(error))  # an error that a log keeps would pin tensors
        return _Outcome(partial(store.fail, job.id, str(error), error.lower))
    except WanStudioError as error:
        log.warning("Job %s failed: %s", job.id, error)
        return _Outcome(partial(store.fail, job.id, str(error)))
    except Exception as error:
        log.exception("Job %s failed unexpectedly.", job.id)
        words = (
            f"The job stopped on an unexpected {type(error).__name__}; the log has the details "
            f"under job {job.id}."
        )
        return _Outcome(partial(store.fail, job.id, words), trustworthy=False)


def _insist(write_down: Callable[[], bool | None]) -> bool | None:
    """Try until the disk takes it, within reason: a result that is there is not to be made again.

    Returns what ``write_down`` does.

    Raises:
        StoreError: it never did; the job runs once more, from its latents if they are kept.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return write_down()
        except StoreError as error:
            if time.monotonic() > deadline:
                raise
            log.warning("The end of a job could not be written down yet: %s", error)
            time.sleep(RETRY_SECONDS)


def _give_moving_thumbnail(result: GenerationResult) -> None:
    """Without one, the history plays the video itself."""
    try:
        write_moving(result.video)
    except MediaError as error:
        log.warning("No moving thumbnail of %s: %s", result.video.name, error)
