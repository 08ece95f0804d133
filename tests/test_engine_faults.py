"""Memory that runs out anywhere: at every boundary between stages and at single operations.

However it fails: the error is one sentence, nothing is kept alive, finished latents are on the disk, the
queue goes on, and the next job gives the very file that a clean run gives.
"""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.failing_memory import Faults, prompt_bytes
from tests.jobs.conftest import wait_for
from tests.test_engine import ignore, request
from wan_core.engine import Engine
from wan_core.jobs.executors import InlineExecutor
from wan_core.jobs.job import Job, JobStatus
from wan_core.media.read import read_video
from wan_core.models.vae.model import WanVAE
from wan_core.pipelines import decoding
from wan_core.schema import Emit, GenerationResult, OutOfMemory, ProgressEvent, Settings, Stage

pytestmark = pytest.mark.usefixtures("tiny")

BOUNDARIES = [
    (Stage.LOAD, 0),
    (Stage.ENCODE, 0),
    (Stage.DENOISE, 0),
    (Stage.DENOISE, 1),
    (Stage.DENOISE, 3),
    (Stage.DECODE, 0),
    (Stage.DECODE, 5),
    (Stage.SAVE, 0),
]


@pytest.fixture
def engine(settings: Settings) -> Engine:
    return Engine(settings)


@pytest.fixture(scope="module")
def clean(tiny_spec, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of an undisturbed run."""
    from wan_core.catalog import MODELS

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "tiny", tiny_spec)
        home = tmp_path_factory.mktemp("clean")
        made = Engine(Settings(home=home, device="cpu", precision="fp32", offline=True))
        return made.generate(request(), ignore, "clean").video.read_bytes()


def failing_at(stage: Stage, step: int, times: int, seen: list[weakref.ref], engine: Engine) -> Emit:
    """An ``emit`` at which memory runs out; ``seen`` gets the modules that were loaded."""
    left = [times]

    def emit(event: ProgressEvent) -> None:
        seen.extend(weakref.ref(part.module) for part in engine.manager._components.values())
        if event.stage is stage and event.step >= step and left[0]:
            left[0] -= 1
            raise torch.OutOfMemoryError("CUDA out of memory.")

    return emit


@pytest.mark.parametrize(("stage", "step"), BOUNDARIES)
def test_too_little_at_a_boundary_fails_in_a_sentence_and_leaves_nothing_behind(
    engine: Engine, clean: bytes, stage: Stage, step: int
) -> None:
    modules: list[weakref.ref] = []
    with Faults() as watched:
        with pytest.raises(OutOfMemory) as caught:
            engine.generate(request(), failing_at(stage, step, 99, modules, engine), "job")
        sentence = str(caught.value)
        assert caught.value.__context__ is None
        del caught
    is_made = stage in (Stage.DECODE, Stage.SAVE)
    assert engine.latents_path("job").exists() == is_made
    assert ("latents are kept" if is_made else "ran out of memory while") in sentence
    assert sentence.count(".") == 1
    assert engine.manager.loaded() == {}
    assert watched.alive() == prompt_bytes(engine)
    assert not [ref for ref in modules if ref() is not None]
    again = "job" if is_made else "next"
    assert engine.generate(request(), ignore, again).video.read_bytes() == clean


@pytest.mark.parametrize(("stage", "step"), BOUNDARIES)
def test_too_little_once_is_made_up_for(engine: Engine, clean: bytes, stage: Stage, step: int) -> None:
    engine.generate(request(seed=2), ignore, "warm")
    result = engine.generate(request(), failing_at(stage, step, 1, [], engine), "job")
    assert result.video.read_bytes() == clean


@pytest.fixture(scope="module")
def operations(tiny_spec, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many operations a job takes."""
    from wan_core.catalog import MODELS

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "tiny", tiny_spec)
        settings = Settings(
            home=tmp_path_factory.mktemp("counted"), device="cpu", precision="fp32", offline=True
        )
        with Faults() as counted:
            Engine(settings).generate(request(), ignore, "job")
    return counted.done


@pytest.mark.parametrize("share", [0.0, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97, 0.999])
def test_any_single_operation_may_fail(engine: Engine, clean: bytes, operations: int, share: float) -> None:
    with Faults(int(share * operations)) as faults:
        result = engine.generate(request(), ignore, "job")
    assert result.video.read_bytes() == clean
    assert faults.done > 1


@pytest.mark.parametrize("share", [0.0, 0.02, 0.15, 0.4, 0.6, 0.85, 0.98])
def test_from_any_operation_on_all_may_fail(
    engine: Engine, clean: bytes, operations: int, share: float
) -> None:
    faults = Faults(int(share * operations), count=10**9)
    with faults, pytest.raises(OutOfMemory) as caught:
        engine.generate(request(), ignore, "job")
    del caught
    assert engine.manager.loaded() == {}
    assert faults.alive() <= prompt_bytes(engine)
    assert engine.generate(request(), ignore, "job").video.read_bytes() == clean


@pytest.mark.parametrize("fits", [128, 64])
def test_decoding_goes_down_to_the_tile_that_fits(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, fits: int
) -> None:
    asked = request(width=160, height=96, num_inference_steps=1, crf=0)
    clean = read_video(engine.generate(asked, ignore, "clean").video).frames
    tried: list[int] = []
    decode_tiles = decoding.decode_tiles

    def limited(vae: WanVAE, latents: Tensor, tile: int):
        tried.append(tile)
        if tile > fits:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return decode_tiles(vae, latents, tile)

    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(decoding, "decode_tiles", limited)
    monkeypatch.setattr(WanVAE, "reconstruct", exhausted)
    result = engine.generate(asked, ignore, "job")
    assert tried == [128, 64][: 1 + (fits == 64)]
    assert result.warnings == (
        f"Memory ran out while decoding, so it was done in tiles of {fits} pixels; the picture is the same.",
    )
    differences = np.abs(read_video(result.video).frames.astype(int) - clean)
    assert differences.max() <= 2
    assert (differences > 0).mean() < 1e-3


def test_the_queue_goes_on_and_the_failed_job_can_be_run_again(
    engine: Engine, settings: Settings, clean: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: Job, emit: Emit) -> GenerationResult:
        return engine.generate(job.request, emit, job.id, profile=job.profile)

    executor = InlineExecutor(settings, run)
    reconstruct, poor = WanVAE.reconstruct, [True]

    def limited(self: WanVAE, *inputs: object) -> Tensor:
        if poor[0]:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return reconstruct(self, *inputs)

    monkeypatch.setattr(WanVAE, "reconstruct", limited)
    failed, other = executor.submit(request()), executor.submit(request(seed=2))
    executor.start()
    try:
        ended(executor, failed)
        poor[0] = False
        job = ended(executor, other)
        assert executor.store.get(failed).status is JobStatus.FAILED
        assert executor.store.get(failed).remedy == "decode"
        assert executor.retry(failed)
        job = ended(executor, failed)
        assert (job.status, Path(job.result.video).read_bytes()) == (JobStatus.DONE, clean)
        assert "denoise" not in job.result.seconds
    finally:
        executor.stop()


def ended(executor: InlineExecutor, job_id: str) -> Job:
    return wait_for(lambda: (job := executor.store.get(job_id)) and job.status.is_final and job, seconds=120)
