"""A device made of ordinary RAM that counts every byte and punishes every mistake of order."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

POISON = 0xFF  # NaN in every floating-point type


@dataclass
class Copy:
    """A copy under way: the target holds nothing of use until somebody waits."""

    source: Tensor
    target: Tensor
    done: bool = False


class FakeMover:
    """``wan_core.manager.movers.Mover`` on the CPU.

    Attributes:
        allocated: bytes on the device now; what nobody holds any more counts no longer.
        peak: the most there ever were.
        pinned: bytes of locked RAM now.
        log: what was done, in order.
        capacity: bytes of the device; beyond, it is out of memory.
        pinning: whether RAM can be locked.
    """

    device = torch.device("cpu")

    def __init__(self, capacity: int = 2**40, pinning: bool = True) -> None:
        self.allocated = self.peak = self.pinned = 0
        self.log: list[tuple[str, int]] = []
        self.capacity, self.pinning = capacity, pinning
        self._under_way: list[Copy] = []

    def put(self, source: Tensor, dtype: torch.dtype) -> Tensor:
        self.log.append(("put", source.numel() * dtype.itemsize))
        flat = self._take(source.numel() * dtype.itemsize)
        made = (
            flat.view(dtype).view(source.shape) if source.numel() else torch.empty_like(source, dtype=dtype)
        )
        return made.copy_(source)

    def allocate(self, count: int) -> Tensor:
        self.log.append(("allocate", count))
        return self._take(count)

    def send(self, source: Tensor, target: Tensor) -> Copy:
        assert source.nbytes == target.nbytes
        self.log.append(("send", source.nbytes))
        target.fill_(POISON)
        self._under_way.append(Copy(source, target))
        return self._under_way[-1]

    def wait(self, ticket: Copy) -> None:
        self.log.append(("wait", ticket.target.nbytes))
        self._finish(ticket)

    def settle(self, ticket: Copy) -> None:
        self.log.append(("settle", ticket.target.nbytes))
        self._finish(ticket)

    def pin(self, memory: Tensor) -> bool:
        self.pinned += memory.nbytes if self.pinning else 0
        return self.pinning

    def unpin(self, memory: Tensor) -> None:
        self.pinned -= memory.nbytes

    def drain(self) -> None:
        for copy in self._under_way:
            self._finish(copy)
        self._under_way.clear()

    def count(self, what: str) -> int:
        return sum(done == what for done, _ in self.log)

    def _finish(self, copy: Copy) -> None:
        if not copy.done:
            copy.target.copy_(copy.source)
            copy.done = True

    def _take(self, count: int) -> Tensor:
        if self.allocated + count > self.capacity:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        memory = np.full(count, POISON, np.uint8)
        self.allocated += count
        self.peak = max(self.peak, self.allocated)
        weakref.finalize(memory, self._free, count)
        return torch.from_numpy(memory)

    def _free(self, count: int) -> None:
        self.allocated -= count
