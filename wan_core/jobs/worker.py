"""The worker process: holds torch and the models, runs the store's jobs, and ends with its studio.

The supervisor starts it as ``python -m wan_core.jobs.worker SETTINGS``, with the settings as JSON and a
pipe as standard input. What is written to that pipe means: end once this job is done. It closes when the
studio wants the worker to end now, and also when the studio itself is killed, so no orphan can hold on to
the GPU.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from wan_core.jobs.job import Job, Machine, WorkerState, WorkerStatus
from wan_core.jobs.runner import Run, run_job
from wan_core.jobs.store import JobStore
from wan_core.schema import Emit, GenerationResult, Settings, StoreError

log = logging.getLogger(__name__)

ReadStatus = Callable[[], Mapping[str, Any]]
"""Some of ``WorkerStatus``'s ``device``, ``memory_used``, ``memory_total``, ``components``, ``machine``.

Called from another thread than the one that runs jobs, once a second.
"""

OpenEngine = Callable[[], tuple[Run, ReadStatus]]

BEAT_SECONDS = 1.0
POLL_SECONDS = 0.1
RETRY_SECONDS = 1.0


def main(settings: Settings) -> None:
    """Serve the job store of ``settings`` with the real engine, until standard input closes."""
    serve(settings, lambda: _open_engine(settings))


def serve(settings: Settings, open_engine: OpenEngine) -> None:
    """Run jobs with the engine that ``open_engine`` makes, until standard input closes.

    Returns before the next job when something is written there; and after an unexpected error of a job,
    as the process may be damaged by it. The supervisor then starts a fresh one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the studio, which then ends us
    _volunteer_for_the_oom_killer()
    retiring = threading.Event()
    threading.Thread(target=_obey, args=(_private_stdin(), retiring), daemon=True).start()
    store = JobStore(settings.store_path)
    pulse = Pulse(store)
    pulse.start()
    run, read_status = open_engine()
    pulse.ready(read_status)
    while not retiring.is_set():
        try:
            job = store.claim()
        except StoreError as error:  # a full disk, say: it costs no loaded model
            log.warning("The queue waits: %s", error)
            time.sleep(RETRY_SECONDS)
            continue
        if job is None:
            time.sleep(POLL_SECONDS)
        elif not run_job(store, job, run):
            return


class Pulse(threading.Thread):
    """Writes the worker's status to the store every ``BEAT_SECONDS``; never stops the work."""

    def __init__(self, store: JobStore) -> None:
        super().__init__(name="pulse", daemon=True)
        self._store = store
        self._read_status: ReadStatus | None = None
        self._beat_now = threading.Event()

    def ready(self, read_status: ReadStatus) -> None:
        """The engine is there: from now on the worker counts as idle, loading or busy."""
        self._read_status = read_status
        self._beat_now.set()

    def run(self) -> None:
        while True:
            self._beat_now.clear()
            try:
                self._store.beat(self._status())
            except Exception:  # the edge: a beat may be lost, the job may not
                log.warning("The worker's status could not be written.", exc_info=True)
            self._beat_now.wait(BEAT_SECONDS)

    def _status(self) -> WorkerStatus:
        if self._read_status is None:
            return WorkerStatus(WorkerState.STARTING, os.getpid())
        return WorkerStatus(WorkerState.IDLE, os.getpid(), **self._read_status())


def _open_engine(settings: Settings) -> tuple[Run, ReadStatus]:
    import torch  # only ever in this process

    from wan_core.engine import Engine
    from wan_core.manager.attention_choice import timed_attention
    from wan_core.manager.devices import device_facts, memory_in_use, total_memory
    from wan_core.manager.speed import attention_refusals
    from wan_core.ops.compiling import compiling_impossible

    engine = Engine(settings)
    device = engine.manager.device
    facts, total = device_facts(device), total_memory(device)
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else total
    refusals = attention_refusals(settings, device)
    times = timed_attention(settings, device)
    machine = Machine(facts, free, total, refusals, compiling_impossible(device) or "", times)

    def read_status() -> dict[str, Any]:
        return {
            "device": facts.name,
            "machine": machine,
            "memory_used": memory_in_use(device),
            "memory_total": total,
            "components": {str(role): size for role, size in engine.manager.loaded().items()},
        }

    def run(job: Job, emit: Emit) -> GenerationResult:
        return engine.generate(job.request, emit, job.id, profile=job.profile, holds_name=True)

    return run, read_status


def _private_stdin() -> int:
    """Move standard input out of the reach of programs that we start (ffmpeg reads its own)."""
    fd = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return fd


def _obey(fd: int, retiring: threading.Event) -> None:
    """Set ``retiring`` when the pipe says something; end this process, whatever it does, when it closes."""
    while os.read(fd, 1024):
        retiring.set()
    os._exit(0)


def _volunteer_for_the_oom_killer() -> None:
    """Have Linux kill the worker, which is replaced, rather than the web process."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    main(Settings.model_validate_json(sys.argv[1]))
