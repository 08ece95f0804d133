"""What the VAE holds while a clip goes through it chunk by chunk."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Room = Callable[[str, Sequence[int], torch.dtype], Tensor]
"""What it is for, shape and dtype -> memory on the CPU with anything in it."""


class StreamState(dict[nn.Module | nn.Parameter, Tensor]):
    """Module -> the frames that it looks back on; weight -> the kernels that were made of it.

    It also has rooms that parts on a CPU compute in by turns: there fresh memory costs a fault for each page.
    """

    def __init__(self) -> None:
        super().__init__()
        self._rooms: dict[tuple[str, torch.dtype], Tensor] = {}

    def room(self, use: str, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A ``Room``; what it was given for the same use before is overwritten."""
        size, room = math.prod(shape), self._rooms.pop((use, dtype), None)
        if room is None or room.numel() < size:
            room = None  # or both would be held for a moment
            room = torch.empty(size, dtype=dtype)
        self._rooms[use, dtype] = room
        return room[:size].view(*shape)


def fresh(use: str, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A ``Room`` that nobody else is given."""
    del use
    return torch.empty(*shape, dtype=dtype)
