"""A studio that is open to everybody: each visitor has jobs of their own and sees no others."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

from wan_core.catalog import resolve
from wan_core.jobs.database import Database
from wan_core.jobs.executors import Executor, Orders
from wan_core.jobs.job import Job
from wan_core.jobs.public_rules import PublicRules
from wan_core.jobs.queueing import Forecast, Guess, Pace
from wan_core.jobs.store import JobStore
from wan_core.schema import GenerationRequest, InvalidRequest, Settings

VISITOR: ContextVar[str] = ContextVar("visitor", default="")
"""Who is being answered; empty is nobody, who has no jobs and can begin none."""

_ALL, _OWN = "FROM jobs", "FROM (SELECT * FROM jobs WHERE owner = '{owner}') AS jobs"


class _OwnRows:
    """A database in which every query finds the jobs of one owner alone."""

    def __init__(self, database: Database, owner: str) -> None:
        if not owner.isalnum():
            owner = "nobody"
        self._database, self._own = database, _OWN.format(owner=owner)

    def fetch(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        return self._database.fetch(statement.replace(_ALL, self._own), *values)

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._database.transaction()


class OwnJobs(JobStore):
    """The jobs of one visitor, as if there were no others. What is not a visitor's to do is not done."""

    def __init__(self, store: JobStore, owner: str, rules: PublicRules) -> None:
        self.__dict__.update(store.__dict__)
        self._everything, self._owner, self._rules = store, owner, rules
        self._database = _OwnRows(store._database, owner)

    # -- what is counted of everybody's -----------------------------------------------------------

    def jobs_before(self, job: Job) -> int:
        return self._everything.jobs_before(job)

    def forecast(self, queue: Sequence[Job], guess: Guess = lambda request: None) -> dict[str, Forecast]:
        """As in any store, with the jobs of others before one's own."""
        ids = {job.id for job in queue}
        known = self._everything.forecast(self._everything.queue(), guess)
        return {job_id: forecast for job_id, forecast in known.items() if job_id in ids}

    def requests(self) -> Iterator[GenerationRequest]:
        """Of everybody: whoever removes what no job needs asks for these."""
        return self._everything.requests()

    def _paces(self, model: str, upscaler: str) -> list[Pace]:
        return self._everything._paces(model, upscaler)

    # -- what may be done to one's own --------------------------------------------------------------

    def replace(self, job_id: str, request: GenerationRequest) -> bool:
        self._rules.check(resolve(request))
        return self._is_own(job_id) and super().replace(job_id, request)

    def cancel(self, job_id: str) -> bool:
        return self._is_own(job_id) and super().cancel(job_id)

    def cancel_all(self) -> int:
        return sum(self.cancel(job.id) for job in self.queue())

    def retry(self, job_id: str) -> bool:
        """As in any store, but behind everybody who waits."""
        if not self._is_own(job_id):
            return False
        with self._database.transaction() as connection:
            self._admit(connection)
        queued = super().retry(job_id)
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET position = (SELECT max(position) + 1 FROM jobs) WHERE id = ? AND ?",
                (job_id, queued),
            )
        return queued

    def star(self, job_id: str, favourite: bool) -> bool:
        return self._is_own(job_id) and super().star(job_id, favourite)

    def tag(self, job_id: str, tags: Iterable[str]) -> bool:
        return self._is_own(job_id) and super().tag(job_id, tags)

    # -- what is not a visitor's to do ----------------------------------------------------------------

    def move(self, job_id: str, before: str | None) -> bool:
        """Nobody passes others by."""
        return False

    def delete(self, job_id: str) -> bool:
        raise _closed("Deleting")

    def undelete(self, job_id: str) -> bool:
        return False

    def pause(self, paused: bool = True) -> None:
        raise _closed("Pausing the queue")

    def purge(self, older_than: float = 0.0) -> int:
        return 0

    def _submit(self, request: GenerationRequest, behind: str | None) -> str:
        return super()._submit(request, None)

    def _admit(self, connection: sqlite3.Connection, request: GenerationRequest | None = None) -> None:
        if not self._owner:
            raise InvalidRequest("queue", "nobody is asking", "Allow this page its cookie and reload it.")
        if request is not None:
            self._rules.check(request)
        own, everybody, lately = connection.execute(
            "SELECT count(*) FILTER (WHERE owner = :owner AND status IN ('queued', 'running')), "
            "count(*) FILTER (WHERE status = 'queued'), "
            "count(*) FILTER (WHERE owner = :owner AND created > :since) "
            "FROM jobs WHERE deleted IS NULL AND (status IN ('queued', 'running') OR created > :since)",
            {"owner": self._owner, "since": time.time() - 60},
        ).fetchone()
        self._rules.admit(own, everybody, lately)

    def _is_own(self, job_id: str) -> bool:
        return self.get(job_id) is not None


class SharedExecutor(Orders):
    """An executor as strangers see it: ``store`` is the one of who is being answered.

    Args:
        executor: runs the jobs of all of them.
        rules: what they may ask for.
    """

    def __init__(self, executor: Executor, rules: PublicRules) -> None:
        self._executor, self._rules = executor, rules

    @property
    def store(self) -> JobStore:
        return OwnJobs(self._executor.store, VISITOR.get(), self._rules)

    @property
    def everything(self) -> JobStore:
        """All jobs, for the ones who run the studio."""
        return self._executor.store

    def start(self) -> None:
        self._executor.start()

    def stop(self) -> None:
        self._executor.stop()

    def unload(self) -> None:
        """Not a visitor's to do."""

    def change(self, settings: Settings) -> None:
        """Not a visitor's to do."""


def _closed(what: str) -> InvalidRequest:
    return InvalidRequest(
        "job", f"{what} is not for visitors of a public page", "Ask the person who runs it."
    )
