"""Running out of memory: what is freed in which order, and that the result is the same."""

from __future__ import annotations

import pytest
import torch

from tests.test_engine import ignore, request
from wan_core.engine import Engine
from wan_core.models.dit.model import WanDiT
from wan_core.models.vae.model import WanVAE
from wan_core.schema import OutOfMemory, ProgressEvent, Settings, Stage

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def engine(settings: Settings) -> Engine:
    return Engine(settings)


@pytest.mark.parametrize("where", [WanDiT, WanVAE])
def test_running_out_of_memory_frees_everything_and_the_next_job_is_identical(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, where: type
) -> None:
    clean = engine.generate(request(), ignore, "clean").video.read_bytes()

    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with monkeypatch.context() as patch:
        patch.setattr(where, "forward" if where is WanDiT else "reconstruct", exhausted)
        words = "while denoising for 5 frames of 32x32" if where is WanDiT else "latents are kept"
        with pytest.raises(OutOfMemory, match=words) as caught:
            engine.generate(request(), ignore, "job")
    assert caught.value.__context__ is None  # no traceback that keeps tensors alive
    assert engine.manager.loaded() == {}
    assert engine.generate(request(), ignore, "next").video.read_bytes() == clean


@pytest.mark.parametrize("where", [WanDiT, WanVAE])
def test_memory_that_suffices_alone_suffices(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, where: type
) -> None:
    clean = engine.generate(request(), ignore, "clean").video.read_bytes()
    name = "forward" if where is WanDiT else "reconstruct"
    original, crowds = getattr(where, name), []
    denoised: list[ProgressEvent] = []

    def crowded(*arguments: object) -> torch.Tensor:
        if len(engine.manager.loaded()) > 1:
            crowds.append(where)
            raise RuntimeError("CUDNN_STATUS_ALLOC_FAILED")
        return original(*arguments)

    monkeypatch.setattr(where, name, crowded)
    result = engine.generate(
        request(), lambda event: denoised.append(event) if event.stage is Stage.DENOISE else None, "job"
    )
    assert result.video.read_bytes() == clean
    assert len(crowds) == (2 if where is WanDiT else 1)  # the passes of a step at once, then one
    starts = [event for event in denoised if event.step == 0]
    assert len(starts) == (2 if where is WanDiT else 1)  # finished latents are not made again


def test_short_of_memory_the_device_is_cleared_first_and_ram_last(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []

    def exhausted(*_: object) -> None:
        log.append("work")
        raise torch.OutOfMemoryError("CUDA out of memory.")

    for name in ("withdraw", "unload"):
        monkeypatch.setattr(engine.manager, name, lambda name=name: log.append(name) or True)
    monkeypatch.setattr(WanDiT, "forward", exhausted)
    with pytest.raises(OutOfMemory):
        engine.generate(request(), ignore, "job")
    attempt = ["work", "work"]  # the passes of a step at once, then one
    assert log == [*attempt, "withdraw", *attempt, "unload", *attempt, "unload"]
