"""The load stage of the soak: many clients at once while workers are killed, watched from outside."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.faults.crashes import Tally, conclude, drain
from tests.faults.whole_app import WholeApp
from wan_core.jobs.job import JobStatus
from wan_core.jobs.store import JobStore
from wan_core.schema import StoreError

ROOT = Path(__file__).resolve().parents[1]

GROUPS = (*[("gradio", 10)] * 5, *[("raw", 10)] * 2)
"""Processes of clients: 50 of gradio_client, 20 that post by themselves."""

SUBMIT_P95, STATUS_P95 = 1.0, 0.5
_SECONDS_BETWEEN_KILLS = (25.0, 45.0)
_VIDEOS_BETWEEN_KILLS = 3
_SECONDS_BETWEEN_PROBES = 0.2


class Watcher(threading.Thread):
    """Once a second: memory, open files, threads, the queue; in between, how soon ``/health`` answers."""

    def __init__(self, app: WholeApp, store: JobStore) -> None:
        super().__init__(daemon=True)
        self.samples: list[dict[str, Any]] = []
        self.probes: list[float] = []
        self._app, self._store = app, store
        self._ended = threading.Event()
        self._began = time.monotonic()

    def run(self) -> None:
        with httpx.Client(base_url=self._app.address, timeout=60) as client:
            while not self._ended.wait(_SECONDS_BETWEEN_PROBES):
                start = time.perf_counter()
                with suppress(httpx.HTTPError):
                    client.get("/health")
                    self.probes.append(time.perf_counter() - start)
                if len(self.samples) <= time.monotonic() - self._began:
                    self._sample()

    def _sample(self) -> None:
        with suppress(psutil.Error, StoreError):
            counts = self._store.counts()
            self.samples.append(
                {
                    "seconds": round(time.monotonic() - self._began, 1),
                    **self._app.usage(),
                    "queued": counts[JobStatus.QUEUED],
                    "done": counts[JobStatus.DONE],
                    "slowest_probe": round(max(self.probes[-10:], default=0.0), 4),
                }
            )

    def end(self) -> None:
        self._ended.set()
        self.join()


class Killer(threading.Thread):
    """Kills the worker every now and then, once it has made a few more videos."""

    def __init__(self, store: JobStore, seed: int) -> None:
        super().__init__(daemon=True)
        self.kills = 0
        self._store, self._dice = store, random.Random(seed)
        self._ended = threading.Event()

    def run(self) -> None:
        made = 0
        while not self._ended.wait(self._dice.uniform(*_SECONDS_BETWEEN_KILLS)):
            pid, done = self._store.worker_status().pid, self._store.counts()[JobStatus.DONE]
            if pid is not None and done >= made + _VIDEOS_BETWEEN_KILLS:
                made = done
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.kills += 1

    def end(self) -> None:
        self._ended.set()
        self.join()


def load(home: Path, jobs: int, seed: int = 0) -> dict[str, Any]:
    """Run the stage; returns its report."""
    app = WholeApp(home)
    app.start()
    store = JobStore(app.settings.store_path)
    clients = connected_clients(app.address, jobs)
    watcher, killer = Watcher(app, store), Killer(store, seed)
    watcher.start()
    killer.start()
    begin = time.monotonic()
    seen = reports_of(clients)
    killer.end()
    tally = Tally(acknowledged=[job for part in seen for job in part["jobs"]])
    cancelled = {job for part in seen for job, status in part["jobs"].items() if status == "cancelled"}
    drain(store, tally, store.retry, seconds=600)
    watcher.end()
    app.stop()
    conclude(store, app.settings, tally)
    store.close()
    tally.lost_jobs = [job for job in tally.lost_jobs if job not in cancelled]
    latencies = {
        name: percentiles([value for part in seen for value in part["latencies"][name]])
        for name in ("generate", "status", "cancel", "result")
    }
    return {
        **tally.report(),
        "kills": killer.kills,
        "cancelled_jobs": len(cancelled),
        "minutes": round((time.monotonic() - begin) / 60, 2),
        "jobs_a_minute": round(len(tally.done) / ((time.monotonic() - begin) / 60), 1),
        "crossed": sum(len(part["crossed"]) for part in seen),
        "failures": [failure for part in seen for failure in part["failures"]][:50],
        "latencies": latencies,
        "probe": percentiles(watcher.probes),
        "samples": watcher.samples,
    }


def passed(report: dict[str, Any]) -> bool:
    """Whether nothing was lost, mixed up or refused, and answers came in time."""
    nothing = ("lost_jobs", "lost_results", "partial_files_seen", "duplicate_results", "crossed")
    quick = (
        report["latencies"]["generate"]["p95"] <= SUBMIT_P95
        and report["latencies"]["status"]["p95"] <= STATUS_P95
    )
    return quick and not report["failures"] and not any(report[name] for name in nothing)


def percentiles(values: list[float]) -> dict[str, float]:
    """Of latencies in seconds."""
    ordered = sorted(values)
    if not ordered:
        return {"count": 0, "p50": 0.0, "p95": 0.0, "p99": 0.0, "worst": 0.0}
    found = {
        f"p{share}": ordered[min(len(ordered) * share // 100, len(ordered) - 1)] for share in (50, 95, 99)
    }
    rounded = {name: round(value, 4) for name, value in found.items()}
    return {"count": len(ordered), **rounded, "worst": round(ordered[-1], 4)}


def connected_clients(address: str, jobs: int) -> list[subprocess.Popen[str]]:
    """The processes of all clients, which wait for the start."""
    total = sum(count for _, count in GROUPS)
    given, running = 0, []
    for seed, (kind, count) in enumerate(GROUPS):
        last = seed == len(GROUPS) - 1
        share = jobs - given if last else jobs * count // total
        given += share
        command = [sys.executable, "-m", "benchmarks.soak_clients", address, kind]
        words = [*command, str(count), str(share), str(seed)]
        running.append(
            subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
    for process in running:
        process.stdout.readline()
    return running


def reports_of(clients: list[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    """Let the clients start, and wait for what they have to tell."""
    for process in clients:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.communicate()[0].splitlines()[-1]) for process in clients]
