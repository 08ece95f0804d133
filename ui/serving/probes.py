"""Addresses for those who run the studio: ``/health``, and ``/metrics`` for Prometheus.

Metrics count, and name nobody and nothing. They are not there on a public page; behind a login they ask for
it as HTTP's own (Basic), as a collector has no cookie.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ui.serving.access import Access
from wan_core.jobs.job import WorkerState
from wan_core.jobs.store import JobStore
from wan_core.schema import StoreError

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Probes:
    """What answers the two addresses.

    Args:
        access: whose login is asked for.
        store: all jobs.
        answered: status -> how many answers of it there were.
    """

    def __init__(self, access: Access, store: JobStore, answered: Mapping[int, int] | None = None) -> None:
        self._access, self._store = access, store
        self.answered: Mapping[int, int] = answered if answered is not None else Counter()
        self._began = time.time()

    def health(self, headers: Headers) -> Response:
        """Whether the page and its store are there: 200, or 503."""
        try:
            self._store.worker_status()
        except StoreError:
            return JSONResponse({"status": "the job store cannot be read"}, 503)
        return JSONResponse({"status": "ok"})

    def metrics(self, headers: Headers) -> Response:
        """All figures, in Prometheus's text format."""
        if self._access.login is not None and not _has_login(headers, self._access.login):
            return PlainTextResponse("Log in first.", 401, {"www-authenticate": 'Basic realm="metrics"'})
        try:
            return PlainTextResponse(self._text(), media_type=_TEXT)
        except StoreError:
            return PlainTextResponse("The job store cannot be read.", 503)

    def _text(self) -> str:
        worker, jobs = self._store.worker_status(), self._store.counts()
        loaded = worker.state not in (WorkerState.STOPPED, WorkerState.STARTING)
        lines = [
            *_family(
                "jobs", "gauge", "Jobs in the store.", {f'status="{status}"': jobs[status] for status in jobs}
            ),
            *_family(
                "queue_paused", "gauge", "Whether the queue is paused.", {"": int(self._store.is_paused())}
            ),
            *_family("worker_up", "gauge", "Whether a worker is there.", {"": int(loaded)}),
            *_family(
                "worker_memory_bytes", "gauge", "Memory of the device in use.", {"": worker.memory_used}
            ),
            *_family(
                "worker_memory_total_bytes", "gauge", "Memory of the device.", {"": worker.memory_total}
            ),
            *_family(
                "http_answers_total",
                "counter",
                "Answers by status.",
                {f'status="{status}"': count for status, count in sorted(self.answered.items())},
            ),
            *_family(
                "uptime_seconds", "gauge", "Since the page was opened.", {"": int(time.time() - self._began)}
            ),
            *_family("resident_bytes", "gauge", "Memory of the web process.", {"": _resident()}),
            *_family("open_files", "gauge", "Open files of the web process.", {"": _open_files()}),
        ]
        return "\n".join(lines) + "\n"


def _family(name: str, kind: str, help: str, values: Mapping[str, int]) -> list[str]:
    name = f"wan_studio_{name}"
    lines = [f"# HELP {name} {help}", f"# TYPE {name} {kind}"]
    return lines + [
        f"{name}{{{label}}} {value}" if label else f"{name} {value}" for label, value in values.items()
    ]


def _has_login(headers: Headers, login: tuple[str, str]) -> bool:
    scheme, _, told = headers.get("authorization", "").partition(" ")
    if scheme.casefold() != "basic":
        return False
    try:
        given = base64.b64decode(told, validate=True)
    except (binascii.Error, ValueError):
        return False
    return secrets.compare_digest(given, ":".join(login).encode())


def _resident() -> int:
    """Bytes of memory that this process holds; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> int:
    """Open files of this process; 0 where the system does not tell."""
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
