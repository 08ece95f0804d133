"""A home folder, a store in it, and waiting for other processes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from wan_core.jobs.executors import ProcessExecutor
from wan_core.jobs.store import JobStore
from wan_core.jobs.supervisor import Timing
from wan_core.schema import GenerationRequest, Settings

T = TypeVar("T")

TIMING = Timing(poll=0.02, cancel_grace=0.5, stop_grace=2.0, first_backoff=0.01, longest_backoff=0.1)


def request(prompt: str = "a ball", **fields: object) -> GenerationRequest:
    """A request to the built-in model."""
    return GenerationRequest(prompt=prompt, **fields)


def fake_command(settings: Settings) -> tuple[str, ...]:
    """Starts a worker with the fake engine."""
    return sys.executable, "-m", "tests.jobs.fake_engine", settings.model_dump_json()


def process_executor(settings: Settings) -> ProcessExecutor:
    """A quick executor whose worker has the fake engine."""
    return ProcessExecutor(settings, fake_command, TIMING)


def wait_for(what: Callable[[], T], seconds: float = 20.0) -> T:
    """The first true value of ``what()``; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return value


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def store(settings: Settings) -> Iterator[JobStore]:
    store = JobStore(settings.store_path)
    yield store
    store.close()


@pytest.fixture
def executor(settings: Settings) -> Iterator[ProcessExecutor]:
    executor = process_executor(settings)
    executor.start()
    yield executor
    executor.stop()
    executor.store.close()
