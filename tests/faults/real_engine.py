"""A queue whose jobs the real engine makes, in this process."""

from __future__ import annotations

from wan_core.engine import Engine
from wan_core.jobs.executors import InlineExecutor
from wan_core.jobs.job import Job
from wan_core.schema import Emit, GenerationResult, Settings


def executor_of(settings: Settings) -> InlineExecutor:
    """Not begun yet; names of results are held as the worker holds them."""
    engine = Engine(settings)

    def run(job: Job, emit: Emit) -> GenerationResult:
        return engine.generate(job.request, emit, job.id, holds_name=True)

    return InlineExecutor(settings, run)
