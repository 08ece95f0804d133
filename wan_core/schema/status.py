"""Where a job stands, or a download or check of the web process."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """Where it stands: queued -> running -> done, failed or cancelled."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)
