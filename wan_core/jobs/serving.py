"""The worker's and the supervisor's side of the job store: claiming, reporting and ending jobs."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import suppress
from dataclasses import replace

from wan_core.jobs.base import StoreFile, time_of_end
from wan_core.jobs.job import Job, JobStatus, WorkerState, WorkerStatus
from wan_core.jobs.rows import MACHINE, json_object, worker_from_row
from wan_core.media.atomic import whole_file
from wan_core.prompts.templates import is_template
from wan_core.schema import GenerationResult, ProgressEvent, Stage, StoreError
from wan_core.schema.settings import CHECKPOINT_SUFFIX, Profile

MAX_ATTEMPTS = 2
SMALLER = "try a smaller size or fewer frames"
"""What most often helps where a worker has died twice."""

PREVIEW_SECONDS = 10.0
"""A browser may still fetch the last preview of a job that has just ended."""

_SETUP_STAGES = (Stage.DOWNLOAD, Stage.LOAD)  # no part of a time estimate: they come once, or never


class Serving(StoreFile):
    """What whoever runs the jobs writes and asks."""

    def claim(self) -> Job | None:
        """Take the first waiting job; exactly one caller gets it. None while nothing waits, or in a pause."""
        if not self.has_queued():
            return None
        with self._database.transaction() as connection:
            rows = connection.execute(
                "UPDATE jobs SET status = 'running', started = ?, attempts = attempts + 1, updated = NULL, "
                "stage = NULL, step = 0, total = 0, seconds = 0 WHERE sequence = "
                "(SELECT sequence FROM jobs WHERE status = 'queued' AND deleted IS NULL "
                "AND NOT (SELECT paused FROM worker) ORDER BY position LIMIT 1) RETURNING *",
                (time.time(),),
            ).fetchall()
        return self._job(rows[0]) if rows else None

    def report(self, job_id: str, event: ProgressEvent) -> None:
        """Write down an event of a running job; a preview replaces the last one, whole, on the disk."""
        if event.preview is not None:
            self._write_preview(job_id, event.preview)
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET stage = ?, step = ?, total = ?, seconds = ?, message = ?, updated = ?, "
                "preview_version = preview_version + ? WHERE id = ? AND status = 'running'",
                (
                    *(str(event.stage), event.step, event.total, event.seconds, event.message),
                    *(time.time(), event.preview is not None, job_id),
                ),
            )

    def is_cancelled(self, job_id: str) -> bool:
        """Whether work on the job is to stop: cancellation was asked for, or it no longer runs."""
        row = self._one("SELECT status, cancel_requested FROM jobs WHERE id = ?", job_id)
        return row is None or row["status"] != "running" or row["cancel_requested"] is not None

    def finish(self, job_id: str, result: GenerationResult) -> bool:
        """A running job is done; its preview makes way for the video. Words that it drew are found.

        Returns False, with nothing changed, if it no longer runs: then it runs again, or was cancelled.
        """
        measured = sum(s for stage, s in result.seconds.items() if stage not in _SETUP_STAGES)
        with self._database.transaction() as connection:
            rows = connection.execute(
                "UPDATE jobs SET status = 'done', finished = ?, result = ?, work_seconds = ?, message = '' "
                "WHERE id = ? AND status = 'running' RETURNING sequence, request",
                (time_of_end(connection), result.model_dump_json(), measured, job_id),
            ).fetchall()
            if rows and is_template(str(json_object(rows[0]["request"]).get("prompt", ""))):
                self._words.put(connection, rows[0]["sequence"], result.request)
        with suppress(StoreError, OSError):  # it is done, whatever becomes of these
            self._drop_previews()
            self.log_path(job_id).unlink(missing_ok=True)
        return bool(rows)

    def fail(self, job_id: str, message: str, lower: Profile | None = None) -> None:
        """A running job has failed.

        Args:
            job_id: which.
            message: one sentence for the person who made it.
            lower: the memory profile to try it with, where memory ran out.
        """
        self._end(job_id, JobStatus.FAILED, message, lower)

    def confirm_cancel(self, job_id: str) -> None:
        """A running job has stopped because it was cancelled."""
        self._end(job_id, JobStatus.CANCELLED, "")

    def beat(self, status: WorkerStatus) -> None:
        """Write down how the worker is doing, now; without a ``machine`` the last one stays."""
        machine = MACHINE.dump_json(status.machine).decode() if status.machine else None
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE worker SET state = ?, pid = ?, heartbeat = ?, device = ?, memory_used = ?, "
                "memory_total = ?, components = ?, message = ?, machine = coalesce(?, machine)",
                (
                    *(str(status.state), status.pid, time.time(), status.device, status.memory_used),
                    *(status.memory_total, json.dumps(status.components), status.message, machine),
                ),
            )

    # -- the supervisor's side --------------------------------------------------------------------

    def worker_status(self) -> WorkerStatus:
        """How the worker is doing; LOADING and BUSY follow from the stage of the running job."""
        status = worker_from_row(self._one("SELECT * FROM worker"))
        if status.state is not WorkerState.IDLE:
            return status
        running = self._one("SELECT stage FROM jobs WHERE status = 'running' LIMIT 1")
        if running is None:
            return status
        preparing = running["stage"] is None or running["stage"] in _SETUP_STAGES
        return replace(status, state=WorkerState.LOADING if preparing else WorkerState.BUSY)

    def has_queued(self) -> bool:
        """Whether a job could be claimed: one waits, and there is no pause."""
        return (
            self._one(
                "SELECT 1 FROM jobs WHERE status = 'queued' AND deleted IS NULL "
                "AND NOT (SELECT paused FROM worker) LIMIT 1"
            )
            is not None
        )

    def has_running(self) -> bool:
        return self._one("SELECT 1 FROM jobs WHERE status = 'running' LIMIT 1") is not None

    def cancelled_running(self) -> tuple[str, bool] | None:
        """A running job that has been asked to stop, if there is one: its id, and whether it still loads."""
        row = self._one(
            "SELECT id, stage FROM jobs WHERE status = 'running' AND cancel_requested IS NOT NULL"
        )
        return (row["id"], row["stage"] in _SETUP_STAGES) if row else None

    def abandon_running(self, reason: str, remedy: str = SMALLER) -> None:
        """Their worker died: queue running jobs once more, and fail those that have had their chance.

        The order in the queue is kept. ``reason`` is half a sentence: "the worker crashed (SIGSEGV)"; so is
        ``remedy``, which those are told that have failed.
        """
        with self._database.transaction() as connection:
            _settle_cancelled(connection)
            connection.execute(
                "UPDATE jobs SET status = 'failed', finished = ?, error = ? "
                "WHERE status = 'running' AND attempts >= ?",
                (
                    time_of_end(connection),
                    f"Given up after {MAX_ATTEMPTS} attempts: {reason}; {remedy}.",
                    MAX_ATTEMPTS,
                ),
            )
            connection.execute(
                "UPDATE jobs SET status = 'queued', started = NULL, message = ? WHERE status = 'running'",
                (f"Queued again: {reason}.",),
            )
        self._drop_previews()

    def release_running(self) -> None:
        """Running jobs go back to the queue, because we stopped their worker; no attempt is counted."""
        with self._database.transaction() as connection:
            _settle_cancelled(connection)
            connection.execute(
                "UPDATE jobs SET status = 'queued', started = NULL, attempts = attempts - 1 "
                "WHERE status = 'running'"
            )
        self._drop_previews()

    def sweep_previews(self) -> None:
        """Remove the previews of jobs that are gone, or ended ``PREVIEW_SECONDS`` ago."""
        long_ago = time.time() - PREVIEW_SECONDS
        for path in list(self._folders.previews_dir.glob("*.webp")):
            row = self._one("SELECT finished FROM jobs WHERE id = ?", path.stem)
            if row is None or (row["finished"] is not None and row["finished"] < long_ago):
                path.unlink(missing_ok=True)

    def sweep_checkpoints(self) -> None:
        """Remove how far jobs had come that are done or cancelled; those that failed may be tried again."""
        for path in list(self._folders.latents_dir.glob(f"*{CHECKPOINT_SUFFIX}")):
            row = self._one("SELECT status FROM jobs WHERE id = ?", path.name.removesuffix(CHECKPOINT_SUFFIX))
            if row is not None and row["status"] in (JobStatus.DONE, JobStatus.CANCELLED):
                path.unlink(missing_ok=True)

    # -- inside -----------------------------------------------------------------------------------

    def _end(self, job_id: str, status: JobStatus, error: str, lower: Profile | None = None) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET status = ?, finished = ?, error = ?, lower = ? "
                "WHERE id = ? AND status = 'running'",
                (str(status), time_of_end(connection), error, lower, job_id),
            )
        self._drop_previews()

    def _drop_previews(self) -> None:
        """Only a running job shows a preview; ``sweep_previews`` removes the file."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET preview_version = 0 "
                "WHERE preview_version > 0 AND status NOT IN ('queued', 'running')"
            )

    def _write_preview(self, job_id: str, content: bytes) -> None:
        with whole_file(self._preview_path(job_id)) as partial:
            partial.write_bytes(content)


def _settle_cancelled(connection: sqlite3.Connection) -> None:
    """A job whose worker is gone while it was being cancelled has simply been cancelled."""
    connection.execute(
        "UPDATE jobs SET status = 'cancelled', finished = ? "
        "WHERE status = 'running' AND cancel_requested IS NOT NULL",
        (time_of_end(connection),),
    )
