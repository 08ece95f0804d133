"""What carries bytes between RAM and a device. ``Residency`` decides what goes where, and never asks how."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Protocol

import torch
from torch import Tensor

_log = logging.getLogger(__name__)

Ticket = object
"""A copy that is under way."""


class Mover(Protocol):
    """Copies to one device, in an order that keeps every reader before the next writer."""

    device: torch.device

    def put(self, source: Tensor, dtype: torch.dtype) -> Tensor:
        """A copy on the device that stays there; it can be used at once."""

    def allocate(self, count: int) -> Tensor:
        """So many bytes on the device, uint8, for ``send`` to fill again and again."""

    def send(self, source: Tensor, target: Tensor) -> Ticket:
        """Begin to copy bytes into a piece of what ``allocate`` gave, after all work queued up to now."""

    def wait(self, ticket: Ticket) -> None:
        """Let the work that is queued from now on see the copy."""

    def settle(self, ticket: Ticket) -> None:
        """Return when the source of the copy may be written again."""

    def pin(self, memory: Tensor) -> bool:
        """Lock RAM in its place, so that copies from it need no help of the processor; whether it worked."""

    def unpin(self, memory: Tensor) -> None:
        """Undo ``pin``."""

    def drain(self) -> None:
        """Let the work that is queued from now on come after all copies."""


class PlainMover:
    """Copies at once: for devices whose copies run beside nothing, such as Apple's."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def put(self, source: Tensor, dtype: torch.dtype) -> Tensor:
        return source.to(self.device, dtype)

    def allocate(self, count: int) -> Tensor:
        return torch.empty(count, dtype=torch.uint8, device=self.device)

    def send(self, source: Tensor, target: Tensor) -> Ticket:
        target.copy_(source)
        return None

    def wait(self, ticket: Ticket) -> None:
        """Nothing is under way."""

    def settle(self, ticket: Ticket) -> None:
        """Nothing is under way."""

    def pin(self, memory: Tensor) -> bool:
        return False

    def unpin(self, memory: Tensor) -> None:
        """Nothing was pinned."""

    def drain(self) -> None:
        """Nothing is under way."""


class CudaMover(PlainMover):
    """Copies on a stream of its own, beside the computing; for NVIDIA and AMD cards."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self._stream = torch.cuda.Stream(device)

    def send(self, source: Tensor, target: Tensor) -> torch.cuda.Event:
        queued = torch.cuda.Event()
        queued.record(torch.cuda.current_stream(self.device))
        self._stream.wait_event(queued)
        done = torch.cuda.Event()
        with torch.cuda.stream(self._stream):
            target.copy_(source, non_blocking=True)
            done.record(self._stream)
        return done

    def wait(self, ticket: torch.cuda.Event) -> None:
        torch.cuda.current_stream(self.device).wait_event(ticket)

    def settle(self, ticket: torch.cuda.Event) -> None:
        ticket.synchronize()

    def pin(self, memory: Tensor) -> bool:
        """Locks the pages that are there: torch's own pinned memory comes in powers of two and is kept."""
        code = int(torch.cuda.cudart().cudaHostRegister(memory.data_ptr(), memory.nbytes, 0))
        if code != 0:
            _log.warning(
                "%d MiB of RAM could not be pinned (CUDA error %d); copies from it are slower",
                memory.nbytes >> 20,
                code,
            )
            self._forget_error()
        return code == 0

    def _forget_error(self) -> None:
        """CUDA tells what failed to whoever asks next: let that be a kernel of no consequence."""
        with suppress(torch.AcceleratorError):
            torch.zeros(1, device=self.device)

    def unpin(self, memory: Tensor) -> None:
        self._stream.synchronize()
        torch.cuda.cudart().cudaHostUnregister(memory.data_ptr())

    def drain(self) -> None:
        torch.cuda.current_stream(self.device).wait_stream(self._stream)


def make_mover(device: torch.device) -> Mover:
    """The mover of a device."""
    return CudaMover(device) if device.type == "cuda" else PlainMover(device)
