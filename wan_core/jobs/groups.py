"""Jobs that belong together because they were asked for at once: drafts to pick from."""

from __future__ import annotations

from wan_core.jobs.base import StoreFile
from wan_core.jobs.job import Job

_NEAR = 24
"""How far apart in the order of asking; other pages may ask in between."""

_AT_ONCE_SECONDS = 3.0
_BUT_SEED = "CASE WHEN json_valid(request) THEN json_remove(request, '$.seed') END"


MOST_SIBLINGS = 9
"""Of more, the nearest: that many can be looked at side by side."""


class Groups(StoreFile):
    """What was asked for together."""

    def siblings(self, job: Job) -> list[Job]:
        """The jobs asked for at the same time as this one that differ in nothing but the seed.

        In the order in which they were asked for, the job itself among them; empty once it is deleted.
        """
        near = self._jobs(
            f"SELECT * FROM jobs WHERE sequence BETWEEN ? AND ? AND deleted IS NULL AND created BETWEEN ? "
            f"AND ? AND {_BUT_SEED} = (SELECT {_BUT_SEED} FROM jobs WHERE id = ? AND deleted IS NULL) "
            "ORDER BY sequence",
            *(job.sequence - _NEAR, job.sequence + _NEAR),
            *(job.created - _AT_ONCE_SECONDS, job.created + _AT_ONCE_SECONDS, job.id),
        )
        place = next((number for number, other in enumerate(near) if other.id == job.id), 0)
        first = min(max(place - MOST_SIBLINGS // 2, 0), max(len(near) - MOST_SIBLINGS, 0))
        return near[first : first + MOST_SIBLINGS]
