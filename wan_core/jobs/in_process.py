"""Jobs in the process of the page: for Hugging Face's ZeroGPU, which lends a GPU to a fork of it, job by job.

Everywhere else a worker process is better: it can crash alone, and keeps the models loaded. Imports no torch
until the first job.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from wan_core.catalog import find_model, resolve
from wan_core.jobs.executors import InlineExecutor
from wan_core.jobs.job import Job
from wan_core.jobs.queueing import Guess
from wan_core.jobs.store import JobStore
from wan_core.schema import (
    Cancelled,
    Emit,
    GenerationFailed,
    GenerationRequest,
    GenerationResult,
    OutOfMemory,
    Settings,
    WanStudioError,
)
from wan_core.schema.settings import Profile

log = logging.getLogger(__name__)

SHORTEST, LONGEST = 30, 300
"""Seconds for which a GPU is asked for; beyond the longest ZeroGPU refuses."""

_SPARE = 1.5
_LOADED_BYTES_A_SECOND = 1e9
_UNKNOWN = 120.0


@dataclass(frozen=True)
class Ended:
    """How a job ended, in values that go from one process to another."""

    result: GenerationResult | None = None
    cancelled: bool = False
    out_of_memory: bool = False
    words: str = ""
    lower: Profile | None = None

    def outcome(self) -> GenerationResult:
        """What was made.

        Raises:
            Cancelled, OutOfMemory, GenerationFailed: nothing was.
        """
        if self.result is not None:
            return self.result
        if self.cancelled:
            raise Cancelled
        if self.out_of_memory:
            raise OutOfMemory(self.words, self.lower)
        raise GenerationFailed(self.words)


def generate(settings: str, job: Job, emit: Emit) -> Ended:
    """Make the video of a job, here or in a fork: what it takes and gives can be pickled.

    Args:
        settings: as JSON.
        job: a claimed job.
        emit: tells the store, from whichever process.
    """
    try:
        engine = _engine(settings)
        made = engine.generate(job.request, emit, job.id, profile=job.profile, holds_name=True)
        return Ended(made)
    except Cancelled:
        return Ended(cancelled=True)
    except OutOfMemory as error:
        return Ended(out_of_memory=True, words=str(error), lower=error.lower)
    except WanStudioError as error:
        return Ended(words=str(error))


@lru_cache(1)
def _engine(settings: str) -> Any:
    from wan_core.engine import Engine  # brings torch

    return Engine(Settings.model_validate_json(settings))


def gpu_seconds(request: GenerationRequest, store: JobStore, guess: Guess) -> int:
    """For how long to ask for a GPU: as learnt from finished jobs like it, else as guessed from the work.

    Loading is on top, as each fork begins without models.
    """
    request = resolve(request)
    expected = store.estimate_seconds(request) or guess(request) or _UNKNOWN
    loading = _weight_bytes(request) / _LOADED_BYTES_A_SECOND
    return round(min(max(expected * _SPARE + loading, SHORTEST), LONGEST))


def _weight_bytes(request: GenerationRequest) -> float:
    dit = find_model(request.model).dit
    return 2.0 * dit.num_layers * (8 * dit.dim**2 + 2 * dit.dim * dit.ffn_dim)


GPU = Callable[..., Callable[[Callable[..., Ended]], Callable[..., Ended]]]
"""``spaces.GPU``: gives a function a GPU for ``duration`` seconds, which may depend on its arguments."""


def anywhere(duration: Any = None) -> Callable[[Callable[..., Ended]], Callable[..., Ended]]:
    """What ``spaces.GPU`` is where there is no such package: the function as it is."""
    return lambda function: function


def zero_gpu() -> GPU:
    """``spaces.GPU``, which the platform installs; it has to be imported before anything touches CUDA."""
    try:
        import spaces
    except ImportError:
        log.warning("The package spaces is not here, so jobs run on what this machine has.")
        return anywhere
    return spaces.GPU


def in_process_executor(settings: Settings, guess: Guess, gpu: GPU) -> InlineExecutor:
    """An executor whose jobs run in this process, or in forks of it that ``gpu`` makes."""
    current, store = [settings.model_dump_json()], JobStore(settings.store_path)

    def seconds(settings: str, job: Job, emit: Emit) -> int:
        return gpu_seconds(job.request, store, guess)

    lent = gpu(duration=seconds)(generate)

    def run(job: Job, emit: Emit) -> GenerationResult:
        return lent(current[0], job, emit).outcome()

    def adopt(changed: Settings) -> None:
        current[0] = changed.model_dump_json()

    return InlineExecutor(settings, run, unload=_engine.cache_clear, adopt=adopt)
