"""Jobs without a worker process, as on ZeroGPU."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wan_core.jobs.executors import InlineExecutor
from wan_core.jobs.in_process import (
    LONGEST,
    SHORTEST,
    Ended,
    anywhere,
    generate,
    gpu_seconds,
    in_process_executor,
)
from wan_core.jobs.job import Job, JobStatus
from wan_core.jobs.store import JobStore
from wan_core.media.read import read_video
from wan_core.schema import Cancelled, GenerationFailed, GenerationRequest, OutOfMemory, Settings

SMALL = {"model": "demo", "width": 32, "height": 32, "num_frames": 5, "num_inference_steps": 2}
SPACES = os.environ.get("WAN_STUDIO_SPACES", "")
"""A folder with the package ``spaces``, which must not be installed beside torch 2.13's own pins."""


def lent(calls: list[Any]) -> Callable[..., Any]:
    """Like ``spaces.GPU``: asks how long, and hands on only what can go to another process."""

    def gpu(duration: Callable[..., int]) -> Any:
        def lend(function: Callable[..., Ended]) -> Callable[..., Ended]:
            def called(*arguments: Any) -> Ended:
                calls.append(duration(*arguments))
                there = pickle.loads(pickle.dumps(arguments))
                return pickle.loads(pickle.dumps(function(*there)))

            return called

        return lend

    return gpu


def ended(executor: InlineExecutor, job_id: str, seconds: float = 120) -> Job:
    deadline = time.monotonic() + seconds
    while not (job := executor.store.get(job_id)).status.is_final:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return job


def test_the_demo_model_makes_a_video_in_this_process(tmp_path: Path) -> None:
    calls: list[int] = []
    executor = in_process_executor(Settings(home=tmp_path), lambda request: 2.0, lent(calls))
    executor.start()
    try:
        job = ended(executor, executor.submit(GenerationRequest(prompt="a red circle", seed=1, **SMALL)))
        assert (job.status, job.error) == (JobStatus.DONE, "")
        assert read_video(job.result.video).frames.shape == (5, 32, 32, 3)
        refused = ended(executor, executor.submit(GenerationRequest(prompt="a circle", loras=_LORA, **SMALL)))
        assert refused.status is JobStatus.FAILED and "nowhere.safetensors" in refused.error
    finally:
        executor.stop()
    assert calls == [SHORTEST, SHORTEST]


_LORA = ({"file": "nowhere.safetensors"},)


def test_an_end_says_the_same_in_another_process() -> None:
    for end, error in (
        (Ended(cancelled=True), Cancelled),
        (Ended(out_of_memory=True, words="too large", lower="low"), OutOfMemory),
        (Ended(words="The video came out as NaN."), GenerationFailed),
    ):
        with pytest.raises(error) as raised:
            pickle.loads(pickle.dumps(end)).outcome()
        assert end.words in str(raised.value)
    assert getattr(raised.value, "lower", None) is None


def test_a_gpu_is_asked_for_as_long_as_jobs_took(tmp_path: Path) -> None:
    store = JobStore(Settings(home=tmp_path).store_path)
    request = GenerationRequest(prompt="a", **SMALL)
    assert gpu_seconds(request, store, lambda request: 100.0) == 150
    assert gpu_seconds(request, store, lambda request: 1.0) == SHORTEST
    assert gpu_seconds(request, store, lambda request: 1e6) == LONGEST
    assert gpu_seconds(request, store, lambda request: None) == 180
    job = store.claim() if store.submit(request) else None
    with store._database.transaction() as connection:
        connection.execute("UPDATE jobs SET status = 'done', work_seconds = 60.0 WHERE id = ?", (job.id,))
    assert gpu_seconds(request, store, lambda request: 1.0) == 90


def test_without_a_lender_the_function_stays_as_it_is() -> None:
    assert anywhere(duration=lambda *arguments: 30)(generate) is generate


@pytest.mark.skipif(
    not (SPACES and Path(SPACES, "spaces").is_dir()),
    reason="WAN_STUDIO_SPACES names no folder with the package spaces",
)
def test_the_real_package_takes_our_function() -> None:
    """Off the platform it gives the function back; what it does there needs CUDA even to import."""
    code = (
        "import spaces, inspect\n"
        "from wan_core.jobs.in_process import generate, zero_gpu\n"
        "assert zero_gpu() is spaces.GPU\n"
        "lent = zero_gpu()(duration=lambda settings, job, emit: 30)(generate)\n"
        "print(lent is generate, inspect.iscoroutinefunction(lent))\n"
    )
    known = {**os.environ, "PYTHONPATH": os.pathsep.join([SPACES, str(Path(__file__).parents[2])])}
    run = subprocess.run([sys.executable, "-c", code], env=known, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "True False"), run.stderr[-2000:]
