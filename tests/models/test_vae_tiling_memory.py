"""What the official VAE holds on the device while it works in tiles, counted on tensors without memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.models.test_vae_memory import WORKSPACE, LiveBytes, peak
from wan_core.models.vae.config import VAEConfig, decoding_bytes, encoding_bytes
from wan_core.models.vae.model import WanVAE
from wan_core.models.vae.tiling import decode_tiles, encode_tiles

SIDE, TILE = 512, 128


@pytest.fixture(autouse=True)
def the_cpu_is_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is on ``meta``, which stands for the device, counts; attention takes no matrix, as there."""
    monkeypatch.setattr(Tensor, "cpu", lambda tensor: torch.empty(tensor.shape) if tensor.is_meta else tensor)
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda q, k, v: torch.empty_like(q))
    count = LiveBytes._add

    def count_device(live: LiveBytes, tensor: Tensor) -> None:
        if tensor.is_meta:
            count(live, tensor)

    monkeypatch.setattr(LiveBytes, "_add", count_device)


def decode(vae: WanVAE) -> None:
    for _ in decode_tiles(vae, torch.empty(1, 16, 2, SIDE // 8, SIDE // 8, device="meta"), TILE):
        pass


def encode(vae: WanVAE) -> None:
    like = torch.empty(1, device="meta")
    for _ in encode_tiles(vae, [torch.empty(1, 3, 5, SIDE, SIDE)], 2 * TILE, like, lambda share: None):
        pass


@pytest.mark.parametrize(
    ("work", "planned", "tile"), [(decode, decoding_bytes, TILE), (encode, encoding_bytes, 2 * TILE)]
)
def test_the_planned_room_holds_a_tile_and_little_more(
    work: Callable[[WanVAE], None], planned: Callable[..., int], tile: int
) -> None:
    room = planned(VAEConfig(), SIDE, SIDE, tile) - WORKSPACE
    assert 0.8 * room < peak(work) < room < 0.6 * (planned(VAEConfig(), SIDE, SIDE) - WORKSPACE)
