"""Memory that runs out at single operations of torch, and what is still held afterwards."""

from __future__ import annotations

import gc
import weakref

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from wan_core.engine import Engine


class Faults(TorchDispatchMode):
    """Counts operations, remembers the tensors made, and lets operations fail that take memory.

    Args:
        first: the operation from which on they fail, from 0; None is never.
        count: how many do.
    """

    def __init__(self, first: int | None = None, count: int = 1) -> None:
        super().__init__()
        self.done = 0
        self._first, self._left = first, 0 if first is None else count
        self._made: list[weakref.ref[Tensor]] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        number, self.done = self.done, self.done + 1
        result = function(*args, **(kwargs or {}))
        if self._left and number >= self._first and _storages(result).keys() - _storages(args).keys():
            self._left -= 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        tree_map_only(Tensor, lambda tensor: self._made.append(weakref.ref(tensor)), result)
        return result

    def alive(self) -> int:
        """Bytes of the tensors made that still exist."""
        gc.collect()
        tensors = [tensor for ref in self._made if (tensor := ref()) is not None]
        return sum(_storages(tensors).values())


def _storages(values: object) -> dict[int, int]:
    """Where the memory of all tensors and storages among some values lies, and its bytes."""
    sizes: dict[int, int] = {}
    for value in tree_leaves(values):
        if isinstance(value, Tensor) and value.is_mkldnn:  # packed for a matrix product: opaque
            sizes[id(value)] = value.nbytes
        elif isinstance(value, Tensor | torch.UntypedStorage):
            storage = value.untyped_storage() if isinstance(value, Tensor) else value
            sizes[storage.data_ptr()] = storage.nbytes()
    return {place: size for place, size in sizes.items() if size}


def prompt_bytes(engine: Engine) -> int:
    """What the engine keeps on purpose: the embeddings of its last prompts."""
    return sum(kept.embeds.nbytes for kept in engine._prompts._kept.values())
