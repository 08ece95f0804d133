"""The job store: every job ever made, and the only channel between the web process and the worker.

One SQLite file in the home folder. Jobs belong to it and not to a browser tab, a process or a GPU, so
that closing any of these loses nothing.
"""

from __future__ import annotations

from wan_core.jobs.groups import Groups
from wan_core.jobs.job import JobStatus
from wan_core.jobs.past import Past
from wan_core.jobs.queueing import Queueing
from wan_core.jobs.serving import Serving


class JobStore(Queueing, Groups, Past, Serving):
    """The queue, the history, and the status of the worker that runs the jobs.

    Safe to use from any thread and process; it can be pickled. ``path`` lies in the home folder, whose
    other folders (previews, outputs, latents) follow from it as in ``Settings``.

    Every method may raise ``StoreError``, when the file cannot be used: a full disk, a newer version.
    """

    def counts(self) -> dict[JobStatus, int]:
        """How many jobs there are of each status; every status is present."""
        rows = self._database.fetch("SELECT status, count(*) FROM jobs WHERE deleted IS NULL GROUP BY status")
        found = dict(tuple(row) for row in rows)
        return {status: found.get(status, 0) for status in JobStatus}
