"""Counting the memory of tensors, also of those without any."""

from __future__ import annotations

import weakref

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of the tensors that are alive; ``peak`` is the most there ever were."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._now = 0
        self._tensors: dict[int, int] = {}  # storage -> how many tensors look at it

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        tree_map_only(Tensor, self._add, made)
        return made

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self._tensors:
            self._now += size
            self.peak = max(self.peak, self._now)
        self._tensors[key] = self._tensors.get(key, 0) + 1
        weakref.finalize(tensor, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._tensors[key] -= 1
        if not self._tensors[key]:
            del self._tensors[key]
            self._now -= size
