"""What the job store hands out: a job, and how the worker is doing. Plain frozen values, no torch."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from wan_core.schema import GenerationRequest, GenerationResult, Stage
from wan_core.schema.schemes import DeviceFacts
from wan_core.schema.settings import Profile
from wan_core.schema.status import JobStatus

UNFINISHED = (JobStatus.FAILED, JobStatus.CANCELLED)
"""Ends of a job without a video."""

Remedy = Literal["decode", "less memory"]
"""``decode``: the finished latents are decoded again. ``less memory``: all of it, one profile lower."""


class WorkerState(StrEnum):
    """What the worker is doing; STOPPED also covers the wait before a crashed one is replaced."""

    STOPPED = "stopped"
    STARTING = "starting"
    IDLE = "idle"
    LOADING = "loading"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the store, as it was when it was read.

    Times (``created``, ``started``, ``finished``, ``updated``) are Unix seconds; ``started`` and
    ``attempts`` count the latest run. ``stage``, ``step``, ``total``, ``seconds`` and ``message`` are
    the latest ``ProgressEvent``, written at ``updated``. ``preview`` is an animated WebP whose content
    changes whenever ``preview_version`` does. ``result`` is set on done jobs, ``error`` on failed ones.
    ``profile`` is the memory profile that the job asks for, None that of the settings; ``lower`` is one to
    try, set where memory ran out. ``latents`` is the file of finished latents of a job that has no video,
    ``log`` what its last run wrote down. Waiting jobs run by ``position``, the lowest first.
    ``deleted`` is when it was deleted, which can be undone for a while.
    """

    id: str
    sequence: int
    status: JobStatus
    request: GenerationRequest
    created: float
    started: float | None = None
    finished: float | None = None
    updated: float | None = None
    attempts: int = 0
    cancel_requested: bool = False
    stage: Stage | None = None
    step: int = 0
    total: int = 0
    seconds: float = 0.0
    message: str = ""
    preview: Path | None = None
    preview_version: int = 0
    result: GenerationResult | None = None
    error: str = ""
    profile: Profile | None = None
    lower: Profile | None = None
    latents: Path | None = None
    log: Path | None = None
    position: int = 0
    favourite: bool = False
    tags: tuple[str, ...] = ()
    deleted: float | None = None

    @property
    def made(self) -> GenerationRequest:
        """The request as it was carried out, with the words that it drew; until then as it was made."""
        return self.result.request if self.result else self.request

    @property
    def remedy(self) -> Remedy | None:
        """What running the job again can do about how it ended; None where it would only end so again."""
        if self.status not in UNFINISHED:
            return None
        if self.latents is not None:
            return "decode"
        return "less memory" if self.lower else None

    @property
    def seconds_per_step(self) -> float | None:
        """Mean seconds per step, frame or byte of the current stage; None before the first one."""
        return self.seconds / self.step if self.step else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the current stage ends, counting down between reports; None when unknown."""
        if self.status is not JobStatus.RUNNING or not self.step or self.updated is None:
            return None
        remaining = (self.total - self.step) * self.seconds / self.step
        return max(remaining - max(time.time() - self.updated, 0.0), 0.0)

    @property
    def elapsed(self) -> float | None:
        """Seconds since the latest start, until the end if there is one; None while queued."""
        if self.started is None:
            return None
        return max((self.finished or time.time()) - self.started, 0.0)


@dataclass(frozen=True, slots=True)
class Machine:
    """What a worker found: what the device can do, and its memory in bytes.

    ``memory_free`` is what other programs leave. ``no_attention`` says of each attention kernel that failed
    its trial why, ``no_compiling`` what compiling lacks, if anything. ``attention_seconds`` says how long a
    self-attention takes with those that Auto chooses from, where there is a choice.
    """

    facts: DeviceFacts
    memory_free: int = 0
    memory_total: int = 0
    no_attention: dict[str, str] = field(default_factory=dict)
    no_compiling: str = ""
    attention_seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """The latest sign of life of the worker.

    ``heartbeat`` is Unix seconds; ``memory_used``, ``memory_total`` and the values of ``components``
    (what is loaded, by name) are bytes. ``message`` says why a worker is stopped. ``machine`` is what
    the last worker found, also when it has ended; None before the first.
    """

    state: WorkerState = WorkerState.STOPPED
    pid: int | None = None
    heartbeat: float = 0.0
    device: str = ""
    memory_used: int = 0
    memory_total: int = 0
    components: dict[str, int] = field(default_factory=dict)
    message: str = ""
    machine: Machine | None = None
