"""Kills a studio and its worker at random moments and counts what is lost: nothing may be."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wan_core.jobs.job import Job, JobStatus, WorkerState
from wan_core.jobs.store import JobStore
from wan_core.media.moving import MOVING_SUFFIX
from wan_core.media.read import probe
from wan_core.media.write import POSTER_SUFFIX
from wan_core.schema import MediaError, Settings, StoreError

ROOT = Path(__file__).resolve().parents[2]

_READY = (WorkerState.IDLE, WorkerState.LOADING, WorkerState.BUSY)
_WAITING = 4
"""Jobs that wait at most while the studio is being killed."""


@dataclass
class Tally:
    """What a run of kills came to; times are seconds from the kill to a studio or worker that works."""

    kills: int = 0
    acknowledged: list[str] = field(default_factory=list)
    done: dict[str, str] = field(default_factory=dict)
    lost_jobs: list[str] = field(default_factory=list)
    lost_results: list[str] = field(default_factory=list)
    partial_files: set[str] = field(default_factory=set)
    strangers: list[str] = field(default_factory=list)
    given_up: set[str] = field(default_factory=set)
    integrity: str = ""
    serving: list[float] = field(default_factory=list)
    respawn: list[float] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        wrong = (self.lost_jobs, self.lost_results, self.partial_files, self.strangers)
        return not any(wrong) and self.integrity == "ok"

    def report(self) -> dict[str, Any]:
        """The figures alone."""
        return {
            "kills": self.kills,
            "acknowledged_jobs": len(self.acknowledged),
            "lost_jobs": len(self.lost_jobs),
            "finished_results": len(self.done),
            "lost_results": len(self.lost_results),
            "partial_files_seen": len(self.partial_files),
            "duplicate_results": len(self.strangers),
            "given_up_after_two_kills": len(self.given_up),
            "integrity_check": self.integrity,
            "serving_seconds_worst": round(max(self.serving, default=0.0), 2),
            "respawn_seconds_worst": round(max(self.respawn, default=0.0), 2),
        }


class SmallStudio:
    """``tests.faults.small_studio`` as a process that can be ordered about, killed, and started again."""

    def __init__(self, settings: Settings, environment: dict[str, str] | None = None) -> None:
        self.settings = settings
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> float:
        """Start it; returns the seconds until it says that it is ready. Nobody can order it about before."""
        begin = time.monotonic()
        command = [sys.executable, "-m", "tests.faults.small_studio", self.settings.model_dump_json()]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        said = process.stdout.readline()
        if said != "ready\n":
            process.kill()
            raise RuntimeError(f"the studio did not start: {said!r}")
        self._process = process
        return time.monotonic() - begin

    def ask(self, what: str, subject: str) -> Any:
        """Carry out an order; None if the studio died before it answered."""
        process = self._process
        try:
            process.stdin.write(json.dumps([what, subject]) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())
        except (OSError, ValueError):
            return None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait(30)


class Submitter(threading.Thread):
    """Keeps a few jobs waiting; notes which were acknowledged."""

    def __init__(self, studio: SmallStudio, store: JobStore, prompt: Callable[[], str]) -> None:
        super().__init__(daemon=True)
        self.acknowledged: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._studio, self._store, self._prompt = studio, store, prompt
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.02):
            if self._store.counts()[JobStatus.QUEUED] < _WAITING:
                job_id = self._studio.ask("submit", self._prompt())
                if job_id is not None:
                    self.acknowledged.put(job_id)

    def end(self) -> list[str]:
        self._ended.set()
        self.join()
        return [self.acknowledged.get() for _ in range(self.acknowledged.qsize())]


def kill_often(home: Path, kills: int, seed: int = 0) -> Tally:
    """Kill the worker, and at every fourth time the whole studio, ``kills`` times."""
    dice, tally = random.Random(seed), Tally()
    settings = Settings(home=home, device="cpu", offline=True)
    studio = SmallStudio(settings)
    studio.start()
    store = JobStore(settings.store_path)
    submitter = Submitter(studio, store, lambda: f"steps=3 sleep={dice.choice((0, 0.01, 0.05))}")
    submitter.start()
    for number in range(kills):
        worker_is_ready(store, None)
        time.sleep(dice.uniform(0, 0.5))
        pid = store.worker_status().pid
        begin = time.monotonic()
        if number % 4 == 3:
            studio.kill()
            tally.serving.append(studio.start())
        elif pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        worker_is_ready(store, pid)
        tally.respawn.append(time.monotonic() - begin)
        tally.kills += 1
        look(store, settings, tally)
    tally.acknowledged = submitter.end()
    drain(store, tally, lambda job_id: studio.ask("retry", job_id))
    studio.stop()
    conclude(store, settings, tally)
    store.close()
    return tally


def drain(store: JobStore, tally: Tally, retry: Callable[[str], object], seconds: float = 120.0) -> None:
    """Wait until the queue is empty; jobs that were killed twice get another chance."""
    deadline = time.monotonic() + seconds
    while store.queue() and time.monotonic() < deadline:
        time.sleep(0.1)
    for job in store.list(limit=100_000, statuses=[JobStatus.FAILED]):
        if job.error.startswith("Given up after 2 attempts"):
            tally.given_up.add(job.id)
            retry(job.id)
    while store.queue() and time.monotonic() < deadline:
        time.sleep(0.1)


def look(store: JobStore, settings: Settings, tally: Tally, most: int = 60) -> None:
    """Note what is finished and how it looks now; and whether a file is visible that is not whole."""
    for job in store.list(limit=most, statuses=[JobStatus.DONE]):
        if job.id not in tally.done:
            tally.done[job.id] = _digest(job)
    known = {Path(name).name for name in store.results()}
    for path in visible(settings):
        if path.name not in known and path.suffix == ".mp4":
            try:
                probe(path)
            except MediaError:
                if path.exists():
                    tally.partial_files.add(path.name)


def conclude(store: JobStore, settings: Settings, tally: Tally) -> None:
    """Compare the end with all that was noted."""
    jobs = {job.id: job for job in store.list(limit=100_000)}
    for job_id in tally.acknowledged:
        if job_id not in jobs or jobs[job_id].status is not JobStatus.DONE:
            tally.lost_jobs.append(job_id)
    look(store, settings, tally, most=len(jobs))
    for job_id, digest in tally.done.items():
        if job_id not in jobs or _digest(jobs[job_id]) != digest:
            tally.lost_results.append(job_id)
    owned: dict[str, str] = {}
    for job in jobs.values():
        if job.result is not None:
            video = job.result.video
            if video.name in owned:
                tally.strangers.append(video.name)
            for name in (video.name, video.stem + POSTER_SUFFIX, video.stem + MOVING_SUFFIX):
                owned[name] = job.id
            try:
                probe(video)
            except MediaError:
                tally.lost_results.append(job.id)
    tally.strangers += [path.name for path in visible(settings) if path.name not in owned]
    tally.integrity = integrity(settings.store_path)


def visible(settings: Settings) -> list[Path]:
    """What a person sees in the outputs folder."""
    folder = settings.outputs_dir
    return [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []


def integrity(path: Path) -> str:
    """What SQLite finds in a store."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchone()[0]


def _digest(job: Job) -> str:
    if job.result is None or not job.result.video.is_file():
        return ""
    return hashlib.sha256(job.result.video.read_bytes()).hexdigest()


def worker_is_ready(store: JobStore, other_than: int | None, seconds: float = 60.0) -> None:
    """Wait for a worker that is ready, and not the one that was killed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            status = store.worker_status()
        except StoreError:  # at this moment
            continue
        if status.state in _READY and status.pid not in (None, other_than):
            return
        time.sleep(0.02)
    raise RuntimeError("no worker came back")
