"""Keeps one worker process alive for a job store, from a thread of the web process. Imports no torch."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wan_core.confined.environment import without_secrets
from wan_core.jobs.job import WorkerState, WorkerStatus
from wan_core.jobs.serving import SMALLER
from wan_core.jobs.store import JobStore
from wan_core.schema import Settings, StoreError

log = logging.getLogger(__name__)

RETIRE = b"\n"
"""What a worker reads from its standard input when it is to end after its job."""

_CODE_FOLDER = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Timing:
    """All in seconds.

    ``poll``: how often the worker is looked at. ``cancel_grace``: a running job that has not stopped
    this long after its cancellation (one step of a large model may take longer) loses its worker: the
    person gets the queue back, at the price of loading the models again; while it loads, ``load_grace`` is
    enough, as nothing is lost. ``stop_grace``: how long the
    worker may take to end before it is killed. ``first_backoff`` to ``longest_backoff``: the wait before
    a dead worker is replaced, doubling from death to death until one was ready for its work or
    lived for ``healthy``.
    """

    poll: float = 0.2
    cancel_grace: float = 20.0
    load_grace: float = 2.0
    stop_grace: float = 3.0
    first_backoff: float = 0.25
    longest_backoff: float = 30.0
    healthy: float = 60.0


DEFAULT_TIMING = Timing()


class Supervisor:
    """Starts the worker, replaces it when it dies, ends it when asked to.

    Args:
        store: where jobs and the worker's status are written.
        command: starts a worker; its standard input is a pipe that closes when it is to end.
        lock_fd: the home's lock, handed down so that it lasts as long as the worker does.
        timing: see ``Timing``.

    Attributes:
        idle_limit: seconds without a job after which loaded models are unloaded; 0 is never.
        downloads: whether a worker may fetch weights, and so knows the login at the hub.
    """

    def __init__(
        self, store: JobStore, command: Sequence[str], lock_fd: int, timing: Timing = DEFAULT_TIMING
    ) -> None:
        self.idle_limit = 0.0
        self.downloads = False
        self._active = time.monotonic()
        self._store = store
        self._command = command
        self._lock_fd = lock_fd
        self._timing = timing
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._deaths = 0
        self._next_start = 0.0
        self._guard = threading.Lock()
        self._retiring = False
        self._unloaded = False
        self._unsettled: Callable[[], None] | None = None
        self._cancelled: tuple[str | None, float] = (None, 0.0)
        self._unload_wanted = threading.Event()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start watching; a worker is started at once, so that it is warm when the first job comes."""
        self._thread.start()

    def stop(self) -> None:
        """End the worker and wait for it; a running job goes back to the queue."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def unload(self) -> None:
        """End the worker as soon as nothing is running or queued; the next job starts a new one."""
        self._unload_wanted.set()
        self._wake.set()

    def replace(self, command: Sequence[str]) -> None:
        """Have the worker end after its job, before it takes another, and ``command`` start the next one."""
        with self._guard:
            self._command = command
            if self._process is not None:
                self._retiring = True
                with suppress(OSError):  # it is dead already
                    self._process.stdin.write(RETIRE)
                    self._process.stdin.flush()
        self._wake.set()

    def _watch(self) -> None:
        while not self._stopping.is_set():
            try:
                self._look()
            except (StoreError, OSError) as error:  # a full disk, say; the next look may do better
                log.warning("The worker could not be looked after: %s", error)
            self._wake.wait(self._timing.poll)
            self._wake.clear()
        try:
            self._end_worker("")
        except StoreError as error:
            log.warning("The running job could not be put back; the next start will do so: %s", error)

    def _look(self) -> None:
        self._settle()
        if self._process is None:
            self._start_if_due()
        elif (code := self._process.poll()) is not None:
            self._bury(code)
        elif self._unload_wanted.is_set():
            if not self._store.has_queued() and not self._store.has_running():
                self._unload_wanted.clear()
                self._unloaded = True
                self._end_worker("The models are unloaded; the next job loads them again.")
        elif (job_id := self._ignored_cancel()) is not None:
            log.warning("Job %s did not stop when cancelled; its worker is ended.", job_id)
            self._end_worker("The worker is replaced, because it did not stop when cancelled.")
        elif self._is_idle_for_long():
            self._unload_wanted.set()

    def _ignored_cancel(self) -> str | None:
        """The id of a running job that should have stopped long ago; counted here, as clocks are set."""
        job_id, loads = self._store.cancelled_running() or (None, False)
        now = time.monotonic()
        known, since = self._cancelled
        if job_id != known:
            self._cancelled = known, since = job_id, now
        grace = self._timing.load_grace if loads else self._timing.cancel_grace
        return job_id if job_id and now - since >= grace else None

    def _is_idle_for_long(self) -> bool:
        if self._store.has_queued() or self._store.has_running():
            self._active = time.monotonic()
        if not self.idle_limit or time.monotonic() - self._active < self.idle_limit:
            return False
        return bool(self._store.worker_status().components)

    def _start_if_due(self) -> None:
        self._unload_wanted.clear()  # nothing is loaded
        if self._unloaded and not self._store.has_queued():
            return
        if time.monotonic() < self._next_start:
            return
        path = os.pathsep.join(filter(None, (str(_CODE_FOLDER), os.environ.get("PYTHONPATH"))))
        with self._guard:
            self._retiring = False
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                env={**without_secrets(self.downloads), "PYTHONPATH": path},
                pass_fds=(self._lock_fd,) if os.name == "posix" else (),
            )
        self._unloaded = False
        self._started = self._active = time.monotonic()
        self._store.beat(WorkerStatus(WorkerState.STARTING, self._process.pid))

    def _bury(self, code: int) -> None:
        """The worker ended by itself: settle its job, and plan for another worker."""
        self._forget_process()
        reason = describe_exit(code)
        self._unsettled = partial(self._store.abandon_running, reason, remedy_for(code))
        had_job = self._store.has_running()
        self._settle()
        if code == 0 and not had_job:  # its own choice, see ``worker.serve``
            why = "with the new settings" if self._retiring else "after an unexpected error"
            self._store.beat(WorkerStatus(WorkerState.STARTING, message=f"The worker starts afresh {why}."))
            return
        log.error("%s.", reason[0].upper() + reason[1:])
        if self._store.worker_status().state is not WorkerState.STARTING or self._lived_long():
            self._deaths = 0  # it had come as far as its work
        wait = min(self._timing.first_backoff * 2**self._deaths, self._timing.longest_backoff)
        self._deaths += 1
        self._next_start = time.monotonic() + wait
        self._store.beat(WorkerStatus(message=f"Replacing the worker: {reason}."))

    def _end_worker(self, message: str) -> None:
        """End the worker because we want to; its job, if any, is cancelled or back in the queue."""
        if self._process is not None:
            process = self._process
            self._forget_process()
            try:
                process.wait(self._timing.stop_grace)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._settle(self._store.release_running)
        self._store.beat(WorkerStatus(message=message))

    def _settle(self, settle: Callable[[], None] | None = None) -> None:
        """Write down what has become of a gone worker's job; where that fails, the next look does it first.

        Until then no worker is started: a job that counts as running would never run again.
        """
        self._unsettled = settle or self._unsettled
        if self._unsettled is not None:
            self._unsettled()
            self._unsettled = None

    def _lived_long(self) -> bool:
        return time.monotonic() - self._started > self._timing.healthy

    def _forget_process(self) -> None:
        with self._guard:
            with suppress(OSError):  # what was written to a dead one
                self._process.stdin.close()
            self._process = None


def describe_exit(code: int) -> str:
    """A return code of ``subprocess`` as half a sentence: what happened to the worker."""
    if code >= 0:
        return f"the worker ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    if name == "SIGKILL":
        return "the worker was killed (SIGKILL), most likely because the machine ran out of memory"
    if name == "SIGBUS":
        return "the worker crashed (SIGBUS), most likely because a file that it was reading became shorter"
    return f"the worker crashed ({name})"


def remedy_for(code: int) -> str:
    """What a person may do about a worker that ended so, as half a sentence."""
    if code == -getattr(signal, "SIGBUS", 0) != 0:
        return "check the disk and the files of the model in Settings, and download again what is damaged"
    return SMALLER


def worker_command(settings: Settings) -> tuple[str, ...]:
    """The command of the real worker."""
    return sys.executable, "-m", "wan_core.jobs.worker", settings.model_dump_json()
