"""Where a download or check stands."""

from __future__ import annotations

from enum import StrEnum


class ErrandState(StrEnum):
    """Where an errand stands: waiting -> running -> done, failed or cancelled."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self not in (ErrandState.WAITING, ErrandState.RUNNING)
