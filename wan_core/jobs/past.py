"""The history's side of the job store: finding, marking, deleting and finding again what was made."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wan_core.catalog import is_known, resolve
from wan_core.failpoints import failpoint
from wan_core.jobs.base import StoreFile, work_of
from wan_core.jobs.job import Job, JobStatus
from wan_core.jobs.rows import json_object, request_of, tags_of
from wan_core.media.atomic import remove
from wan_core.media.moving import moving_path
from wan_core.schema import GenerationRequest, GenerationResult, InvalidRequest

log = logging.getLogger(__name__)

MAX_TAGS, MAX_TAG_LENGTH = 20, 40

UNDO_SECONDS = 300.0
"""For how long a deletion can be undone; the files go after it."""

_ENDED = "deleted IS NULL AND finished IS NOT NULL"  # what waits or runs has no end, also on its second run

Place = tuple[float, int]
"""Where a job stands in the history: when it ended, and its sequence."""


@dataclass(frozen=True)
class Search:
    """What to show of the history; each part left empty means all.

    ``words`` are found in the prompt, the model's name, the LoRAs' names and the tags, all of them;
    ``since`` and ``until`` are Unix seconds. ``titles`` are what models are called besides, by their ids,
    for words to be found in.
    """

    words: str = ""
    model: str = ""
    since: float | None = None
    until: float | None = None
    favourites: bool = False
    tag: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)


class Past(StoreFile):
    """Jobs that have ended, newest first."""

    def list(
        self, limit: int = 50, offset: int = 0, statuses: Iterable[JobStatus] | None = None
    ) -> list[Job]:
        """Jobs, newest submission first, of the given statuses (all of them by default)."""
        chosen = [str(status) for status in (JobStatus if statuses is None else statuses)]
        marks = ", ".join("?" * len(chosen))
        # the sign keeps SQLite from sorting what lies in order already
        return self._jobs(
            f"SELECT * FROM jobs WHERE +status IN ({marks}) AND deleted IS NULL "
            "ORDER BY sequence DESC LIMIT ? OFFSET ?",
            *(*chosen, limit, offset),
        )

    def history(self, search: Search, limit: int, after: Place | None = None) -> list[Job]:
        """Jobs that have ended and fit the search, the latest end first; those behind ``after``."""
        condition, values = self._condition(search)
        if after is not None:
            condition += " AND (finished, sequence) < (?, ?)"
            values += after
        return self._jobs(
            f"SELECT * FROM jobs WHERE {condition} ORDER BY finished DESC, sequence DESC LIMIT ?",
            *(*values, limit),
        )

    def count(self, search: Search) -> int:
        """How many jobs have ended and fit the search."""
        condition, values = self._condition(search)
        return self._one(f"SELECT count(*) FROM jobs WHERE {condition}", *values)[0]

    def revision(self) -> str:
        """A text that is another one when a job has ended, or was deleted or brought back."""
        row = self._one(
            "SELECT count(*), max(finished) FROM jobs WHERE deleted IS NULL AND finished IS NOT NULL"
        )
        return f"{row[0]} {row[1]}"

    def requests(self) -> Iterator[GenerationRequest]:
        """The requests of all jobs, also of those whose deletion can be undone."""
        for row in self._database.fetch("SELECT request FROM jobs"):
            yield request_of(json_object(row["request"]))

    def models(self) -> list[str]:
        """The models of the history."""
        rows = self._database.fetch(f"SELECT DISTINCT model FROM jobs WHERE {_ENDED} ORDER BY model")
        return [row["model"] for row in rows]

    def tags(self) -> list[str]:
        """All tags, the most frequent first."""
        rows = self._database.fetch("SELECT tags FROM jobs WHERE tags != '[]' AND deleted IS NULL")
        counts: dict[str, int] = {}
        for row in rows:
            for tag in tags_of(row["tags"]):
                counts[tag] = counts.get(tag, 0) + 1
        return sorted(counts, key=lambda tag: (-counts[tag], tag))

    def star(self, job_id: str, favourite: bool) -> bool:
        """Make a job a favourite, or an ordinary one; returns whether there is such a job."""
        return self._change("favourite = ?", favourite, job_id)

    def tag(self, job_id: str, tags: Iterable[str]) -> bool:
        """Give a job these tags in place of its own; returns whether there is such a job.

        Spaces are tidied and letters made small; at most ``MAX_TAGS`` of ``MAX_TAG_LENGTH`` are kept.
        """
        tidy = (" ".join(tag.casefold().split())[:MAX_TAG_LENGTH].strip() for tag in tags)
        kept = list(dict.fromkeys(tag for tag in tidy if tag))[:MAX_TAGS]
        return self._change("tags = ?", json.dumps(kept, ensure_ascii=False), job_id)

    def delete(self, job_id: str) -> bool:
        """Take a job out of the history; its files go once that can no longer be undone.

        Returns whether there was such a job.

        Raises:
            InvalidRequest: the job is running.
        """
        job = self.get(job_id)
        if job is not None and job.status is JobStatus.RUNNING:
            raise InvalidRequest(
                "job", f"{job_id} is still running", "Cancel it, then delete it once it has stopped."
            )
        return self._change("deleted = coalesce(deleted, ?)", time.time(), job_id, "status != 'running'")

    def undelete(self, job_id: str) -> bool:
        """Undo a deletion; returns whether that was still possible."""
        return self._change("deleted = ?", None, job_id, "deleted IS NOT NULL")

    def purge(self, older_than: float = UNDO_SECONDS) -> int:
        """Remove jobs deleted more than that many seconds ago, with the files they made in the home.

        The files go first: without its job a file would be taken for a lost result. Jobs whose files cannot
        be removed stay for the next time. Returns how many went.
        """
        gone = 0
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT * FROM jobs WHERE deleted <= ? AND status != 'running'", (time.time() - older_than,)
            ).fetchall()
            for row in rows:
                try:
                    self._remove_files(self._job(row))
                except OSError as error:
                    log.warning("The files of job %s cannot be removed yet: %s", row["id"], error)
                    continue
                failpoint("purge")
                connection.execute("DELETE FROM jobs WHERE sequence = ?", (row["sequence"],))
                self._words.drop(connection, row["sequence"])
                gone += 1
        return gone

    # -- what the database has lost ---------------------------------------------------------------

    def results(self) -> dict[str, tuple[str, Path]]:
        """File name -> job and place of all results, also of deleted jobs."""
        rows = self._database.fetch(
            "SELECT id, json_extract(result, '$.video') AS video FROM jobs "
            "WHERE result IS NOT NULL AND json_valid(result)"
        )
        return {Path(row["video"]).name: (row["id"], Path(row["video"])) for row in rows if row["video"]}

    def relocate(self, job_id: str, video: Path) -> None:
        """A job's video now lies elsewhere, and its poster beside it."""
        row = self._one("SELECT * FROM jobs WHERE id = ?", job_id)
        job = self._job(row) if row else None
        if job is None or job.result is None:
            return
        poster = job.result.thumbnail and video.with_name(job.result.thumbnail.name)
        result = job.result.model_copy(update={"video": video, "thumbnail": poster})
        self._change("result = ?", result.model_dump_json(), job_id)

    def adopt(self, result: GenerationResult, made: float) -> str:
        """Take a result into the history that no job has; ``made`` is its time. Returns the new job's id."""
        job_id, request = secrets.token_hex(8), result.request
        work = work_of(resolve(request)) if is_known(request.model) else 0.0
        with self._database.transaction() as connection:
            row = connection.execute(
                "INSERT INTO jobs (id, status, model, request, work, created, finished, result) "
                "VALUES (?, 'done', ?, ?, ?, ?, ?, ?) RETURNING sequence",
                (
                    *(job_id, request.model, request.model_dump_json(), work),
                    *(made, made, result.model_dump_json()),
                ),
            ).fetchone()
            connection.execute("UPDATE jobs SET position = sequence WHERE id = ?", (job_id,))
            self._words.put(connection, row["sequence"], request)
        return job_id

    # -- inside -----------------------------------------------------------------------------------

    def _change(self, what: str, value: Any, job_id: str, where: str = "1") -> bool:
        with self._database.transaction() as connection:
            changed = connection.execute(f"UPDATE jobs SET {what} WHERE id = ? AND {where}", (value, job_id))
        return changed.rowcount > 0

    def _condition(self, search: Search) -> tuple[str, list[Any]]:
        tag = json.dumps(search.tag, ensure_ascii=False) if search.tag else None
        found, values = self._words.condition(search.words, search.titles)
        parts: list[tuple[str, Any]] = [
            ("model = ?", search.model or None),
            ("finished >= ?", search.since),
            ("finished < ?", search.until),
            ("tags != '[]' AND instr(tags, ?)", tag),
        ]
        wanted = [(part, value) for part, value in parts if value is not None]
        starred = ["favourite"] if search.favourites else []
        return (
            " AND ".join([_ENDED, *starred, found, *(part for part, _ in wanted)]),
            [*values, *(value for _, value in wanted)],
        )

    def _remove_files(self, job: Job) -> None:
        """Delete what the job made; a file outside the home's own folders is never touched."""
        made = [
            self._preview_path(job.id),
            self.log_path(job.id),
            *self._folders.latents_dir.glob(f"{job.id}.*"),
        ]
        if job.result is not None:
            outputs, video = self._folders.outputs_dir.resolve(), job.result.video
            made += [
                path
                for path in (video, job.result.thumbnail, job.result.sidecar, moving_path(video))
                if path is not None and path.resolve().is_relative_to(outputs)
            ]
        for path in made:
            remove(path)
