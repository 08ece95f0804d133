"""The person's side of the job store: what waits, in which order, and for how long."""

from __future__ import annotations

import secrets
import sqlite3
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wan_core.catalog import is_known, resolve, validate
from wan_core.jobs.base import StoreFile, time_of_end, work_of
from wan_core.jobs.job import UNFINISHED, Job, JobStatus
from wan_core.schema import GenerationRequest

_JOBS_LOOKED_AT, _RECENT_JOBS, _SIMILAR_JOBS = 200, 20, 5
_WAITING = "status = 'queued' AND deleted IS NULL"
_QUEUE = (
    "SELECT * FROM jobs WHERE status IN ('running', 'queued') AND deleted IS NULL "
    "ORDER BY status = 'queued', position"
)

Guess = Callable[[GenerationRequest], float | None]
"""Seconds that a request takes, where nothing has been learnt of its model; None is unknown."""

Pace = tuple[float, float]
"""The work of a finished job and the seconds that it took."""


@dataclass(frozen=True)
class Forecast:
    """In how many seconds a job ends; ``learnt`` from finished jobs of this machine, else it is a guess."""

    seconds: float
    learnt: bool


class Queueing(StoreFile):
    """Adding to the queue and changing it. Waiting jobs run by position, lowest first."""

    def submit(self, request: GenerationRequest) -> str:
        """Queue a request, with its defaults and its seed filled in; returns the new job's id.

        Raises:
            InvalidRequest: the request does not fit its model.
        """
        return self._submit(request, None)

    def queue(self) -> list[Job]:
        """The running job, if any, then the waiting ones in the order in which they will run."""
        return self._jobs(_QUEUE)

    def first(self) -> Job | None:
        """The head of the queue, which is long at times: the running job, else the one that runs next."""
        return next(iter(self._jobs(f"{_QUEUE} LIMIT 1")), None)

    def jobs_before(self, job: Job) -> int:
        """How many jobs run before a waiting one ends its wait."""
        row = self._one(
            "SELECT count(*) FROM jobs WHERE deleted IS NULL AND "
            "(status = 'running' OR status = 'queued' AND position < ?)",
            job.position,
        )
        return row[0]

    def move(self, job_id: str, before: str | None) -> bool:
        """Put a waiting job before another one; behind all others without one.

        A job to come before that has started meanwhile is no longer waiting: then it is the first.
        Returns whether the job was waiting.
        """
        with self._database.transaction() as connection:
            return _move(connection, job_id, before)

    def replace(self, job_id: str, request: GenerationRequest) -> bool:
        """Have a waiting job do something else, at its place.

        Returns False, with nothing changed, if it no longer waits.

        Raises:
            InvalidRequest: the request does not fit its model.
        """
        validate(request)
        request = resolve(request)
        with self._database.transaction() as connection:
            changed = connection.execute(
                f"UPDATE jobs SET model = ?, request = ?, work = ?, profile = NULL, lower = NULL, "
                f"message = '' WHERE id = ? AND {_WAITING} RETURNING sequence",
                (request.model, request.model_dump_json(), work_of(request), job_id),
            ).fetchall()
            for row in changed:
                self._words.put(connection, row["sequence"], request)
        if changed:  # they belong to the old request
            self._latents_path(job_id).unlink(missing_ok=True)
            self._folders.checkpoint_path(job_id).unlink(missing_ok=True)
        return bool(changed)

    def duplicate(self, job_id: str) -> str | None:
        """Queue the same once more with a new seed, behind the job if it waits; returns the new job's id.

        None when there is no such job.

        Raises:
            InvalidRequest: its model is gone, or no longer does this.
        """
        job = self.get(job_id)
        if job is None:
            return None
        return self._submit(job.request.model_copy(update={"seed": -1}), job_id)

    def cancel(self, job_id: str) -> bool:
        """Cancel a queued job at once, or ask a running one to stop within a step.

        Returns whether there was anything to cancel; a second request changes nothing.
        """
        return self._cancel("id = ?", job_id) > 0

    def cancel_all(self) -> int:
        """Cancel everything that waits or runs; returns how many jobs that were."""
        return self._cancel("1")

    def retry(self, job_id: str) -> bool:
        """Queue a job that ended without a video once more, in its old place.

        It begins from its latents if they are kept; else it takes the lower memory profile if one is offered.
        Returns whether there was such a job.
        """
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT * FROM jobs WHERE id = ? AND deleted IS NULL", (job_id,)
            ).fetchone()
            job = self._job(row) if row else None
            if job is None or job.status not in UNFINISHED:
                return False
            profile = job.lower if job.remedy == "less memory" else job.profile
            connection.execute(
                "UPDATE jobs SET status = 'queued', profile = ?, lower = NULL, error = '', message = '', "
                "attempts = 0, cancel_requested = NULL, started = NULL, finished = NULL WHERE id = ?",
                (profile, job_id),
            )
        return True

    def pause(self, paused: bool = True) -> None:
        """Have the worker take no more jobs and stop the running one after its step; or go on."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE worker SET paused = ?", (paused,))

    def is_paused(self) -> bool:
        return bool(self._one("SELECT paused FROM worker")["paused"])

    def estimate_seconds(self, request: GenerationRequest) -> float | None:
        """How long the request will take, without downloading and loading; None when nothing is known.

        The median pace of the most similar recent jobs of the same model, enlarged by the same upscaler if
        by any, scaled by steps * frames * pixels, twice that with guidance.
        """
        return _expected_seconds(request, self._paces(request.model, request.upscaler))

    def forecast(self, queue: Sequence[Job], guess: Guess = lambda request: None) -> dict[str, Forecast]:
        """When the jobs of a ``queue`` end, by id, as far as it is known: each waits for those before it."""
        kinds = {(job.request.model, job.request.upscaler) for job in queue}
        paces = {kind: self._paces(*kind) for kind in kinds}
        forecasts, total, learnt = {}, 0.0, True
        for job in queue:
            own = _expected_seconds(job.request, paces[job.request.model, job.request.upscaler])
            learnt &= own is not None
            own = guess(job.request) if own is None else own
            if own is None:
                break  # nor is it known of those behind it
            if job.status is JobStatus.RUNNING:
                own = max(own - (job.elapsed or 0.0), job.seconds_left or 0.0)
            total += own
            forecasts[job.id] = Forecast(total, learnt)
        return forecasts

    def _submit(self, request: GenerationRequest, behind: str | None) -> str:
        validate(request)
        request = resolve(request)
        job_id = secrets.token_hex(8)
        with self._database.transaction() as connection:
            self._admit(connection, request)
            row = connection.execute(
                "INSERT INTO jobs (id, owner, status, model, request, work, created) "
                "VALUES (?, ?, 'queued', ?, ?, ?, ?) RETURNING sequence",
                (
                    *(job_id, self._owner, request.model, request.model_dump_json()),
                    *(work_of(request), time.time()),
                ),
            ).fetchone()
            connection.execute("UPDATE jobs SET position = sequence WHERE id = ?", (job_id,))
            self._words.put(connection, row["sequence"], request)
            if behind is not None:
                _move_behind(connection, job_id, behind)
        return job_id

    def _admit(self, connection: sqlite3.Connection, request: GenerationRequest) -> None:
        """What a store for strangers asks before it takes a job, see ``wan_core.jobs.visitors``."""

    def _cancel(self, which: str, *values: str) -> int:
        with self._database.transaction() as connection:
            now = time_of_end(connection)
            asked = connection.execute(
                "UPDATE jobs SET cancel_requested = coalesce(cancel_requested, ?) "
                f"WHERE {which} AND status IN ('queued', 'running')",
                (now, *values),
            )
            connection.execute(
                f"UPDATE jobs SET status = 'cancelled', finished = ? WHERE {which} AND status = 'queued'",
                (now, *values),
            )
        return asked.rowcount

    def _paces(self, model: str, upscaler: str) -> list[Pace]:
        rows = self._database.fetch(
            "SELECT work, work_seconds FROM (SELECT * FROM jobs WHERE model = ? AND status = 'done' "
            "AND work_seconds > 0 AND work > 0 ORDER BY sequence DESC LIMIT ?) "
            "WHERE coalesce(json_extract(request, '$.upscaler'), '') = ? LIMIT ?",
            *(model, _JOBS_LOOKED_AT, upscaler, _RECENT_JOBS),
        )
        return [tuple(row) for row in rows]


def _expected_seconds(request: GenerationRequest, known: list[Pace]) -> float | None:
    if not known or not is_known(request.model):
        return None
    work = work_of(resolve(request))
    similar = sorted(known, key=lambda pair: max(pair[0] / work, work / pair[0]))[:_SIMILAR_JOBS]
    return work * statistics.median(seconds / amount for amount, seconds in similar)


def _waiting(connection: sqlite3.Connection) -> list[sqlite3.Row]:
    return connection.execute(f"SELECT id, position FROM jobs WHERE {_WAITING} ORDER BY position").fetchall()


def _move(connection: sqlite3.Connection, job_id: str, before: str | None) -> bool:
    """Hand the positions of the waiting jobs out anew."""
    rows = _waiting(connection)
    ids, positions = [row["id"] for row in rows], [row["position"] for row in rows]
    if job_id not in ids:
        return False
    if before == job_id:
        return True
    ids.remove(job_id)
    place = len(ids) if before is None else ids.index(before) if before in ids else 0
    ids.insert(place, job_id)
    connection.executemany(
        "UPDATE jobs SET position = ? WHERE id = ?", list(zip(positions, ids, strict=True))
    )
    return True


def _move_behind(connection: sqlite3.Connection, job_id: str, other: str) -> None:
    ids = [row["id"] for row in _waiting(connection)]
    if other in ids and (following := ids[ids.index(other) + 1]) != job_id:
        _move(connection, job_id, following)
