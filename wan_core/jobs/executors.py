"""The one seam between a job and the GPU. Imports no torch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from wan_core.jobs.job import WorkerState, WorkerStatus
from wan_core.jobs.lock import HomeLock
from wan_core.jobs.runner import Run, run_job
from wan_core.jobs.store import JobStore
from wan_core.jobs.supervisor import DEFAULT_TIMING, Supervisor, Timing, worker_command
from wan_core.jobs.tidying import Caretaker
from wan_core.schema import GenerationRequest, Settings, StoreError
from wan_core.schema.settings import setting_knobs

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_RETRY_SECONDS = 1.0


class Executor(Protocol):
    """Runs the jobs of a store; the page, the CLI and the API know nothing else.

    ``store`` can be read at any time, also before ``start`` and after ``stop``.
    """

    store: JobStore

    def start(self) -> None:
        """Take the home folder and begin to run jobs, those of an earlier studio first.

        Raises:
            StoreError: another studio is using the folder.
        """
        ...

    def stop(self) -> None:
        """Stop running jobs and let go of the folder; the running job waits for the next start."""
        ...

    def submit(self, request: GenerationRequest) -> str:
        """Queue a request; returns its job's id.

        Raises:
            InvalidRequest: the request does not fit its model.
        """
        ...

    def retry(self, job_id: str) -> bool:
        """Queue a job that ended without a video once more, see ``JobStore.retry``."""
        ...

    def cancel(self, job_id: str) -> bool:
        """Cancel a job, at once or within a step; returns whether there was anything to cancel."""
        ...

    def unload(self) -> None:
        """Free the memory that models hold, as soon as nothing is running or queued."""
        ...

    def change(self, settings: Settings) -> None:
        """Use other settings, from the next job on; a running one is not touched. The home stays."""
        ...


class Orders:
    """What anybody may ask of an executor: it is written into its store, and done from there."""

    store: JobStore

    def submit(self, request: GenerationRequest) -> str:
        return self.store.submit(request)

    def retry(self, job_id: str) -> bool:
        return self.store.retry(job_id)

    def cancel(self, job_id: str) -> bool:
        return self.store.cancel(job_id)


class ProcessExecutor(Orders):
    """Runs jobs in a supervised worker process; the default.

    Args:
        settings: folders and device; handed to the worker.
        command: what starts a worker with some settings; another one for tests.
        timing: of the supervisor.
    """

    def __init__(
        self,
        settings: Settings,
        command: Callable[[Settings], Sequence[str]] = worker_command,
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        self.store = JobStore(settings.store_path)
        self._settings = settings
        self._lock = HomeLock(settings.home)
        self._command = command
        self._timing = timing
        self._supervisor: Supervisor | None = None
        self._caretaker: Caretaker | None = None

    def start(self) -> None:
        self._lock.acquire()
        self._caretaker = Caretaker(self.store, self._settings)
        self._caretaker.start()
        self.store.abandon_running("the studio was ended while the job ran")
        command = self._command(self._settings)
        self._supervisor = Supervisor(self.store, command, self._lock.fd, self._timing)
        self._supervisor.idle_limit = self._settings.idle_unload_minutes * 60
        self._supervisor.downloads = not self._settings.offline
        self._supervisor.start()

    def stop(self) -> None:
        if self._supervisor is not None:
            self._supervisor.stop()
            self._supervisor = None
        if self._caretaker is not None:
            self._caretaker.stop()
            self._caretaker = None
        self._lock.release()

    def unload(self) -> None:
        if self._supervisor is not None:
            self._supervisor.unload()

    def change(self, settings: Settings) -> None:
        before, self._settings = self._settings, settings
        if self._supervisor is not None:
            self._supervisor.idle_limit = settings.idle_unload_minutes * 60
            self._supervisor.downloads = not settings.offline
            if of_the_worker(settings) != of_the_worker(before):
                self._supervisor.replace(self._command(settings))


def of_the_worker(settings: Settings) -> Settings:
    """The settings without those that only the studio reads: equal ones need no other worker."""
    knobs = setting_knobs()
    own = [name for name, knob in knobs.items() if knob.effect == "at once"]
    return settings.model_copy(update={name: Settings.model_fields[name].default for name in own})


class InlineExecutor:
    """Runs jobs in a thread of this process: for tests, the CLI, and Spaces that fork for the GPU.

    Args:
        settings: folders.
        run: makes one video.
        unload: frees the models' memory; called between jobs, from the thread that runs them.
        adopt: takes other settings; called likewise.
    """

    def __init__(
        self,
        settings: Settings,
        run: Run,
        unload: Callable[[], None] = lambda: None,
        adopt: Callable[[Settings], None] = lambda settings: None,
    ) -> None:
        self.store = JobStore(settings.store_path)
        self._lock = HomeLock(settings.home)
        self._run = run
        self._unload = unload
        self._adopt = adopt
        self._changed: Settings | None = None
        self._unload_wanted = threading.Event()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._settings = settings
        self._caretaker: Caretaker | None = None

    def start(self) -> None:
        self._lock.acquire()
        self._caretaker = Caretaker(self.store, self._settings)
        self._caretaker.start()
        self.store.abandon_running("the studio was ended while the job ran")
        self.store.beat(WorkerStatus(WorkerState.IDLE, message="Jobs run inside the web process."))
        self._stopping.clear()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._thread is not None:
            self._stopping.set()
            try:
                self.store.release_running()  # the job sees at its next event that it no longer runs
            except StoreError as error:
                log.warning("The running job could not be put back; the next start will do so: %s", error)
            self._wake.set()
            self._thread.join()
            self._thread = None
            with suppress(StoreError):
                self.store.beat(WorkerStatus())
        if self._caretaker is not None:
            self._caretaker.stop()
            self._caretaker = None
        self._lock.release()

    def submit(self, request: GenerationRequest) -> str:
        job_id = self.store.submit(request)
        self._wake.set()
        return job_id

    def retry(self, job_id: str) -> bool:
        queued = self.store.retry(job_id)
        self._wake.set()
        return queued

    def cancel(self, job_id: str) -> bool:
        return self.store.cancel(job_id)

    def unload(self) -> None:
        self._unload_wanted.set()
        self._wake.set()

    def change(self, settings: Settings) -> None:
        self._changed = settings
        self._wake.set()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                self._work_once()
            except StoreError as error:
                log.warning("The queue waits: %s", error)
                self._wake.wait(_RETRY_SECONDS)

    def _work_once(self) -> None:
        if self.store.has_running():
            self.store.abandon_running("its end could not be written down")
        changed, self._changed = self._changed, None
        if changed is not None:
            self._adopt(changed)
        job = self.store.claim()
        if job is not None and self._stopping.is_set():
            self.store.release_running()
        elif job is not None:
            run_job(self.store, job, self._run)
        elif self._unload_wanted.is_set():
            self._unload_wanted.clear()
            self._unload()
        else:
            self._wake.wait(_POLL_SECONDS)
            self._wake.clear()
