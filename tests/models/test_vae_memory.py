"""What the official VAE holds at its peak, counted on tensors without memory."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat

import pytest
import torch

from tests.models.live_bytes import LiveBytes
from wan_core.models.vae.config import VAEConfig, decoding_bytes, encoding_bytes
from wan_core.models.vae.model import WanVAE

WIDTH, HEIGHT = 832, 480
WORKSPACE = 2**30  # in the estimates, for what no tensor shows


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
