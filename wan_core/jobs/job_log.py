"""What is written down while a job runs, in a file of its own that stays when the job fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wan_core.jobs.job import Job

log = logging.getLogger(__name__)

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_OURS = "wan_core"


@contextmanager
def written_down(job: Job, path: Path) -> Iterator[None]:
    """Copy to ``path`` what this thread logs, and what this program's own modules log in any.

    A job that runs again begins a new file. A disk that refuses costs the log, not the job.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    except OSError as error:
        log.warning("Job %s runs without a log of its own: %s", job.id, error)
        yield
        return
    thread = threading.get_ident()
    handler.setFormatter(logging.Formatter(_FORMAT))
    handler.addFilter(lambda record: record.thread == thread or record.name.startswith(_OURS))
    logging.getLogger().addHandler(handler)
    try:
        log.info("Request: %s", job.request.model_dump_json(exclude_defaults=True))
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        with suppress(OSError):  # what a full disk did not take
            handler.close()
