"""The job store: every job ever made, and the only channel between the web process and the worker.

One SQLite file in the home folder. Jobs belong to it and not to a browser tab, a process or a GPU, so
that closing any of these loses nothing.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import statistics
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from wan_core.catalog import is_known, resolve, validate
from wan_core.jobs.database import Database
from wan_core.jobs.job import UNFINISHED, Job, JobStatus, WorkerState, WorkerStatus
from wan_core.jobs.rows import MACHINE, JobFiles, job_from_row, worker_from_row
from wan_core.media.atomic import whole_file
from wan_core.schema import (
    GenerationRequest,
    GenerationResult,
    InvalidRequest,
    ProgressEvent,
    Settings,
    Stage,
)
from wan_core.schema.settings import Profile

MAX_ATTEMPTS = 2
_SETUP_STAGES = (Stage.DOWNLOAD, Stage.LOAD)  # no part of a time estimate: they come once, or never
_RECENT_JOBS, _SIMILAR_JOBS = 20, 5


class JobStore:
    """Jobs in order of submission, and the status of the worker that runs them.

    Safe to use from any thread and process; it can be pickled. ``path`` lies in the home folder, whose
    other folders (previews, outputs, latents) follow from it as in ``Settings``.

    Every method may raise ``StoreError``, when the file cannot be used: a full disk, a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folders = Settings(home=path.parent)
        self._files = JobFiles(self._preview_path, self._latents_path)
        self._database = Database(path)

    def __reduce__(self) -> tuple[type[JobStore], tuple[Path]]:
        return JobStore, (self.path,)

    def close(self) -> None:
        """Close all connections; any later call opens them again."""
        self._database.close()

    # -- the person's side ------------------------------------------------------------------------

    def submit(self, request: GenerationRequest) -> str:
        """Queue a request, with its defaults and its seed filled in; returns the new job's id.

        Raises:
            InvalidRequest: the request does not fit its model.
        """
        validate(request)
        request = resolve(request)
        job_id = secrets.token_hex(8)
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO jobs (id, status, model, request, work, created) "
                "VALUES (?, 'queued', ?, ?, ?, ?)",
                (job_id, request.model, request.model_dump_json(), _work(request), time.time()),
            )
        return job_id

    def get(self, job_id: str) -> Job | None:
        """The job as it is now; None when there is no such job."""
        row = self._one("SELECT * FROM jobs WHERE id = ?", job_id)
        return job_from_row(row, self._files) if row else None

    def list(
        self, limit: int = 50, offset: int = 0, statuses: Iterable[JobStatus] | None = None
    ) -> list[Job]:
        """Jobs, newest first, of the given statuses (all of them by default)."""
        chosen = [str(status) for status in (JobStatus if statuses is None else statuses)]
        marks = ", ".join("?" * len(chosen))
        rows = self._database.fetch(
            f"SELECT * FROM jobs WHERE status IN ({marks}) ORDER BY sequence DESC LIMIT ? OFFSET ?",
            *(*chosen, limit, offset),
        )
        return [job_from_row(row, self._files) for row in rows]

    def queue(self) -> list[Job]:
        """The running job, if any, then the waiting ones in the order in which they will run."""
        rows = self._database.fetch(
            "SELECT * FROM jobs WHERE status IN ('running', 'queued') ORDER BY status = 'queued', sequence"
        )
        return [job_from_row(row, self._files) for row in rows]

    def counts(self) -> dict[JobStatus, int]:
        """How many jobs there are of each status; every status is present."""
        rows = self._database.fetch("SELECT status, count(*) FROM jobs GROUP BY status")
        found = dict(tuple(row) for row in rows)
        return {status: found.get(status, 0) for status in JobStatus}

    def cancel(self, job_id: str) -> bool:
        """Cancel a queued job at once, or ask a running one to stop within a step.

        Returns whether there was anything to cancel; a second request changes nothing.
        """
        now = time.time()
        with self._database.transaction() as connection:
            asked = connection.execute(
                "UPDATE jobs SET cancel_requested = coalesce(cancel_requested, ?) "
                "WHERE id = ? AND status IN ('queued', 'running')",
                (now, job_id),
            )
            connection.execute(
                "UPDATE jobs SET status = 'cancelled', finished = ? WHERE id = ? AND status = 'queued'",
                (now, job_id),
            )
        return asked.rowcount > 0

    def retry(self, job_id: str) -> bool:
        """Queue a job that ended without a video once more, in its old place.

        It begins from its latents if they are kept; else it takes the lower memory profile if one is offered.
        Returns whether there was such a job.
        """
        with self._database.transaction() as connection:
            row = connection.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
            job = job_from_row(row, self._files) if row else None
            if job is None or job.status not in UNFINISHED:
                return False
            profile = job.lower if job.remedy == "less memory" else job.profile
            connection.execute(
                "UPDATE jobs SET status = 'queued', profile = ?, lower = NULL, error = '', message = '', "
                "attempts = 0, cancel_requested = NULL, started = NULL, finished = NULL WHERE id = ?",
                (profile, job_id),
            )
        return True

    def delete(self, job_id: str) -> bool:
        """Remove a job from the history, with the files it made inside the home folder.

        Returns whether there was such a job.

        Raises:
            InvalidRequest: the job is running.
        """
        with self._database.transaction() as connection:
            row = connection.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
            if row is None:
                return False
            if row["status"] == "running":
                raise InvalidRequest(
                    "job", f"{job_id} is still running", "Cancel it, then delete it once it has stopped."
                )
            connection.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
        self._remove_files(job_from_row(row, self._files))
        return True

    def estimate_seconds(self, request: GenerationRequest) -> float | None:
        """How long the request will take, without downloading and loading; None when nothing is known.

        The median pace of the most similar recent jobs of the same model, scaled by
        steps * frames * pixels, twice that with guidance.
        """
        rows = self._database.fetch(
            "SELECT work, work_seconds FROM jobs WHERE model = ? AND status = 'done' AND work_seconds > 0 "
            "AND work > 0 ORDER BY sequence DESC LIMIT ?",
            *(request.model, _RECENT_JOBS),
        )
        known = [tuple(row) for row in rows]
        if not known or not is_known(request.model):
            return None
        work = _work(resolve(request))
        similar = sorted(known, key=lambda pair: max(pair[0] / work, work / pair[0]))[:_SIMILAR_JOBS]
        return work * statistics.median(seconds / amount for amount, seconds in similar)

    # -- the worker's side ------------------------------------------------------------------------

    def claim(self) -> Job | None:
        """Take the oldest queued job; exactly one caller gets it. None when nothing is queued."""
        if self._one("SELECT 1 FROM jobs WHERE status = 'queued' LIMIT 1") is None:
            return None
        with self._database.transaction() as connection:
            rows = connection.execute(
                "UPDATE jobs SET status = 'running', started = ?, attempts = attempts + 1, updated = NULL, "
                "stage = NULL, step = 0, total = 0, seconds = 0 WHERE sequence = "
                "(SELECT sequence FROM jobs WHERE status = 'queued' ORDER BY sequence LIMIT 1) RETURNING *",
                (time.time(),),
            ).fetchall()
        return job_from_row(rows[0], self._files) if rows else None

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

    def finish(self, job_id: str, result: GenerationResult) -> None:
        """A running job is done; its preview makes way for the video."""
        measured = sum(s for stage, s in result.seconds.items() if stage not in _SETUP_STAGES)
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET status = 'done', finished = ?, result = ?, work_seconds = ?, message = '' "
                "WHERE id = ? AND status = 'running'",
                (time.time(), result.model_dump_json(), measured, job_id),
            )
        self._drop_previews()

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
        return self._one("SELECT 1 FROM jobs WHERE status = 'queued' LIMIT 1") is not None

    def has_running(self) -> bool:
        return self._one("SELECT 1 FROM jobs WHERE status = 'running' LIMIT 1") is not None

    def ignored_cancel(self, grace_seconds: float) -> str | None:
        """The id of a running job that should have stopped ``grace_seconds`` ago, if there is one."""
        row = self._one(
            "SELECT id FROM jobs WHERE status = 'running' AND cancel_requested < ?",
            time.time() - grace_seconds,
        )
        return row["id"] if row else None

    def abandon_running(self, reason: str) -> None:
        """Their worker died: queue running jobs once more, and fail those that have had their chance.

        The order in the queue is kept. ``reason`` is half a sentence: "the worker crashed (SIGSEGV)".
        """
        with self._database.transaction() as connection:
            _settle_cancelled(connection)
            connection.execute(
                "UPDATE jobs SET status = 'failed', finished = ?, error = ? "
                "WHERE status = 'running' AND attempts >= ?",
                (
                    time.time(),
                    f"Given up after {MAX_ATTEMPTS} attempts: {reason}; try a smaller size or fewer frames.",
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

    # -- inside -----------------------------------------------------------------------------------

    def _one(self, statement: str, *values: Any) -> sqlite3.Row | None:
        return next(iter(self._database.fetch(statement, *values)), None)

    def _end(self, job_id: str, status: JobStatus, error: str, lower: Profile | None = None) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET status = ?, finished = ?, error = ?, lower = ? "
                "WHERE id = ? AND status = 'running'",
                (str(status), time.time(), error, lower, job_id),
            )
        self._drop_previews()

    def _drop_previews(self) -> None:
        """Remove the previews of jobs that have ended: only a running job shows one."""
        with self._database.transaction() as connection:
            ended = connection.execute(
                "UPDATE jobs SET preview_version = 0 "
                "WHERE preview_version > 0 AND status NOT IN ('queued', 'running') RETURNING id"
            ).fetchall()
        for row in ended:
            self._preview_path(row["id"]).unlink(missing_ok=True)

    def _preview_path(self, job_id: str) -> Path:
        return self._folders.previews_dir / f"{job_id}.webp"

    def _latents_path(self, job_id: str) -> Path:
        return self._folders.latents_dir / f"{job_id}.safetensors"

    def _write_preview(self, job_id: str, content: bytes) -> None:
        with whole_file(self._preview_path(job_id)) as partial:
            partial.write_bytes(content)

    def _remove_files(self, job: Job) -> None:
        """Delete what the job made; a file outside the home's own folders is never touched."""
        made = [self._preview_path(job.id), *self._folders.latents_dir.glob(f"{job.id}.*")]
        if job.result is not None:
            outputs = self._folders.outputs_dir.resolve()
            made += [
                path
                for path in (job.result.video, job.result.thumbnail)
                if path is not None and path.resolve().is_relative_to(outputs)
            ]
        for path in made:
            path.unlink(missing_ok=True)


def _settle_cancelled(connection: sqlite3.Connection) -> None:
    """A job whose worker is gone while it was being cancelled has simply been cancelled."""
    connection.execute(
        "UPDATE jobs SET status = 'cancelled', finished = ? "
        "WHERE status = 'running' AND cancel_requested IS NOT NULL",
        (time.time(),),
    )


def _work(request: GenerationRequest) -> float:
    """Size of a resolved request in pixel evaluations: steps * frames * pixels * passes per step."""
    passes = 2 if request.guidance_scale > 1 else 1
    return request.num_inference_steps * request.num_frames * request.width * request.height * passes
