"""What carries bytes to a device, where there is none."""

from __future__ import annotations

import pytest
import torch

from wan_core.manager.movers import CudaMover, PlainMover, make_mover

CUDA = torch.device("cuda")


class Runtime:
    """CUDA's own functions; ``code`` is what they return."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.asked: list[tuple[int, int, int]] = []

    def cudaHostRegister(self, address: int, count: int, flags: int) -> int:
        self.asked.append((address, count, flags))
        return self.code


@pytest.mark.parametrize(("code", "pinned"), [(0, True), (2, False)])
def test_memory_that_cannot_be_pinned_is_said_and_fails_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int, pinned: bool
) -> None:
    runtime, kernels = Runtime(code), []

    def kernel(*size: int, device: torch.device) -> None:
        kernels.append(device)
        raise torch.AcceleratorError("CUDA error: out of memory")

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "cudart", lambda: runtime)
    memory = torch.empty(2**21, dtype=torch.uint8)
    mover = make_mover(CUDA)
    monkeypatch.setattr(torch, "zeros", kernel)
    assert isinstance(mover, CudaMover) and mover.pin(memory) is pinned
    assert runtime.asked == [(memory.data_ptr(), 2**21, 0)]
    assert kernels == ([] if pinned else [CUDA])
    assert ("2 MiB of RAM could not be pinned (CUDA error 2)" in caplog.text) is not pinned


def test_a_device_whose_copies_run_beside_nothing_copies_at_once() -> None:
    mover = make_mover(torch.device("cpu"))
    assert type(mover) is PlainMover
    slot, source = mover.allocate(8), torch.arange(4, dtype=torch.uint8)
    mover.wait(mover.send(source, slot[:4]))
    assert slot[:4].tolist() == [0, 1, 2, 3]
    assert not mover.pin(source)
    placed = mover.put(torch.ones(2), torch.bfloat16)
    assert placed.dtype == torch.bfloat16 and placed.tolist() == [1, 1]
