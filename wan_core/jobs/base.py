"""What all sides of the job store share: the file, the folders beside it, one job by its id."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any, Self

from wan_core.acceleration.levels import expected_part
from wan_core.acceleration.windows import frames_seen, kept_windows
from wan_core.jobs.database import Database
from wan_core.jobs.job import Job
from wan_core.jobs.rows import JobFiles, job_from_row
from wan_core.jobs.words import Words
from wan_core.models.vae.config import TEMPORAL_STRIDE, latent_frames
from wan_core.schema import GenerationRequest, Settings

_CLOCK_ERROR = 86_400.0  # seconds


class StoreFile:
    """The SQLite file at ``path``, which lies in the home folder; the other folders follow from it.

    ``notice`` is what was wrong with it when it was opened, in one sentence; empty if nothing was.
    """

    _owner = ""
    """Whose jobs are added; nobody's in particular where no strangers come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folders = Settings(home=path.parent)
        self._files = JobFiles(self._preview_path, self._latents_path, self.log_path)
        self._database = Database(path)
        self.notice = self._database.notice
        self._words = Words(self._database)

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self.path,)

    def close(self) -> None:
        """Close all connections; any later call opens them again."""
        self._database.close()

    def get(self, job_id: str) -> Job | None:
        """The job as it is now; None when there is no such job, or it was deleted."""
        row = self._one("SELECT * FROM jobs WHERE id = ? AND deleted IS NULL", job_id)
        return self._job(row) if row else None

    def _one(self, statement: str, *values: Any) -> sqlite3.Row | None:
        return next(iter(self._database.fetch(statement, *values)), None)

    def _job(self, row: sqlite3.Row) -> Job:
        return job_from_row(row, self._files)

    def _jobs(self, statement: str, *values: Any) -> list[Job]:
        return [self._job(row) for row in self._database.fetch(statement, *values)]

    def _preview_path(self, job_id: str) -> Path:
        return self._folders.previews_dir / f"{job_id}.webp"

    def _latents_path(self, job_id: str) -> Path:
        return self._folders.latents_dir / f"{job_id}.safetensors"

    def log_path(self, job_id: str) -> Path:
        """Where a job's log is written while it runs."""
        return self._folders.logs_dir / f"{job_id}.log"


def time_of_end(connection: sqlite3.Connection) -> float:
    """Now, in Unix seconds, for a job that ends; never before the latest end of another.

    A clock that was set back would else put a new video below old ones; one that was days ahead is not
    followed.
    """
    now = time.time()
    latest = connection.execute(
        "SELECT max(finished) FROM jobs WHERE deleted IS NULL AND finished IS NOT NULL"
    ).fetchone()[0]
    return latest if latest is not None and now < latest <= now + _CLOCK_ERROR else now


def work_of(request: GenerationRequest) -> float:
    """Size of a resolved request in pixel evaluations: steps computed * frames * pixels * passes per step.

    Frames that several windows show count for each.
    """
    steps = request.steps_taken(request.num_inference_steps)
    passes = request.mean_passes(steps, request.guidance_scale)
    windows, total = request.windows, latent_frames(request.num_frames)
    again = 0 if windows is None else TEMPORAL_STRIDE * (frames_seen(windows, total) - total)
    part = 1.0
    if kept_windows(windows, total):
        part = expected_part(request.step_cache, request.step_cache_threshold, steps)
    return steps * part * (request.num_frames + again) * request.width * request.height * passes
