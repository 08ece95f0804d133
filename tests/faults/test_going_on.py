"""A worker that is killed while it denoises: the next one computes the steps that are left, and no other."""

from __future__ import annotations

import os
import re
import signal

import pytest
import torch

from tests.faults.keeping import calls_of, keeping_command
from tests.faults.test_worker import asked, ended
from tests.jobs.conftest import wait_for
from wan_core.jobs.executors import ProcessExecutor
from wan_core.jobs.job import JobStatus
from wan_core.pipelines.latents import load_latents
from wan_core.schema import Settings

pytestmark = pytest.mark.faults

STEPS = 60


def test_a_killed_worker_costs_the_step_that_it_was_in(settings: Settings) -> None:
    executor = ProcessExecutor(settings, keeping_command)
    executor.start()
    store = executor.store
    wanted = asked("a red circle", seed=4, num_inference_steps=STEPS, guidance_scale=1.0)
    try:
        killed, whole = executor.submit(wanted), executor.submit(wanted)
        wait_for(lambda: settings.checkpoint_path(killed).is_file() and store.get(killed).step >= 5, 60)
        first = store.worker_status().pid
        os.kill(first, signal.SIGKILL)
        job, other = ended(executor, killed), ended(executor, whole)
        second = store.worker_status().pid
    finally:
        executor.stop()
        store.close()
    assert (job.status, job.attempts, other.status) == (JobStatus.DONE, 2, JobStatus.DONE)
    assert other.result.warnings == ()
    (note,) = job.result.warnings
    done = int(re.fullmatch(r"It went on after step (\d+), where an earlier run of it had ended\.", note)[1])
    assert 4 <= done < STEPS
    calls = calls_of(settings)
    assert calls.count(first) in (done, done + 1, done + 2)
    assert calls.count(second) == STEPS - done + STEPS
    one, two = (load_latents(settings.latents_dir / f"{each}.safetensors")[0] for each in (killed, whole))
    assert torch.equal(one, two)
    assert not list(settings.latents_dir.glob("*.steps.safetensors"))
