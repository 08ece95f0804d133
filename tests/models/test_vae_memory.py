"""What the official VAE holds at its peak, counted on tensors without memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from itertools import repeat

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from wan_core.models.vae.config import VAEConfig, decoding_bytes, encoding_bytes
from wan_core.models.vae.model import WanVAE

WIDTH, HEIGHT = 832, 480
WORKSPACE = 2**30  # in the estimates, for what no tensor shows


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


def peak(work: Callable[[WanVAE], object]) -> int:
    with torch.device("meta"):
        vae = WanVAE(VAEConfig())
    with torch.no_grad(), LiveBytes() as live:
        work(vae)
    return live.peak


def encode(vae: WanVAE, chunks: int = 4) -> None:
    frames = (torch.empty(1, 3, 4, HEIGHT, WIDTH, device="meta") for _ in repeat(None, chunks))
    for _ in vae.encode_stream(frames):
        pass


def decode(vae: WanVAE) -> None:
    for _ in vae.decode_stream(torch.empty(1, 16, 4, HEIGHT // 8, WIDTH // 8, device="meta")):
        pass


@pytest.mark.parametrize(("work", "planned"), [(encode, encoding_bytes), (decode, decoding_bytes)])
def test_the_planned_room_holds_the_peak_and_little_more(work, planned) -> None:
    room = planned(VAEConfig(), WIDTH, HEIGHT) - WORKSPACE
    assert 0.85 * room < peak(work) < room


def test_the_peak_does_not_grow_with_the_length() -> None:
    assert peak(encode) == peak(lambda vae: encode(vae, 8))
