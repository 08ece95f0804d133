"""Numbers that are no picture: the job fails with advice, is never done, and can be run again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from tests.faults.crashes import visible
from tests.faults.real_engine import executor_of
from tests.jobs.conftest import wait_for
from tests.test_engine import request
from wan_core.jobs.executors import InlineExecutor
from wan_core.jobs.job import Job, JobStatus
from wan_core.models.dit.model import WanDiT
from wan_core.models.vae.model import WanVAE
from wan_core.schema import Settings

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("tiny")]

Pieces = Callable[[], Iterator[Tensor]]


def colour(red: float, green: float, blue: float, frames: int) -> Tensor:
    return torch.tensor([red, green, blue]).view(1, 3, 1, 1, 1).expand(1, 3, frames, 32, 32).clone()


def black() -> Iterator[Tensor]:
    yield from (colour(-1, -1, -1, 1), colour(-1, -1, -1, 4))


def red() -> Iterator[Tensor]:
    yield from (colour(1, -1, -1, 1), colour(1, -1, -1, 4))


def flicker() -> Iterator[Tensor]:
    yield from (colour(-1, -1, -1, 1), colour(1, 1, 1, 4))


def nan() -> Iterator[Tensor]:
    yield from (colour(0, 1, 0, 1), colour(0, 0, float("nan"), 4))


def infinity() -> Iterator[Tensor]:
    yield colour(float("inf"), 0, 0, 1)


@pytest.fixture
def executor(settings: Settings) -> Iterator[InlineExecutor]:
    executor = executor_of(settings)
    executor.start()
    yield executor
    executor.stop()


def ended(executor: InlineExecutor, job_id: str) -> Job:
    return wait_for(lambda: job if (job := executor.store.get(job_id)).status.is_final else None, 60)


@pytest.mark.parametrize(
    ("pieces", "advice"),
    [
        (black, "try another seed"),
        (red, "try another seed"),
        (flicker, "try another seed"),
        (nan, "try precision fp32"),
        (infinity, "try precision fp32"),
    ],
)
def test_a_decoder_that_gives_no_picture_fails_the_job_with_advice(
    executor: InlineExecutor, monkeypatch: pytest.MonkeyPatch, pieces: Pieces, advice: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(WanVAE, "decode_stream", lambda self, latents: pieces())
        job_id = executor.submit(request())
        job = ended(executor, job_id)
    assert job.status is JobStatus.FAILED and job.result is None
    assert advice in job.error
    assert list(executor._settings.outputs_dir.iterdir()) == [], "no file, and no name is held"
    assert job.remedy == "decode", "what was denoised is kept"
    assert executor.retry(job_id)
    assert ended(executor, job_id).status is JobStatus.DONE


@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_step_that_gives_no_numbers_fails_the_job_with_advice(
    executor: InlineExecutor, monkeypatch: pytest.MonkeyPatch, step: int, value: float
) -> None:
    forward, timesteps = WanDiT.forward, []

    def broken(self: WanDiT, latents: Tensor, timestep: Tensor, *others: object, **more: object) -> Tensor:
        if float(timestep[0]) not in timesteps:
            timesteps.append(float(timestep[0]))
        velocity = forward(self, latents, timestep, *others, **more)
        if len(timesteps) == step + 1:
            velocity[0, 0, 0, 1, 1] = value
        return velocity

    with monkeypatch.context() as patch:
        patch.setattr(WanDiT, "forward", broken)
        job = ended(executor, executor.submit(request()))
    assert (job.status, job.result) == (JobStatus.FAILED, None)
    assert job.error.startswith(f"Step {step + 1} of 3") and "try precision" in job.error
    assert visible(executor._settings) == []
    assert ended(executor, executor.submit(request(seed=2))).status is JobStatus.DONE
