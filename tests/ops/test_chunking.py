"""In pieces comes out what comes out at once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.models.dit_kinds import KINDS, sample
from tests.models.randomise import randomise
from wan_core.models.dit import blocks
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.ops.chunking import by_tokens


@pytest.mark.parametrize(
    ("batch", "length", "size", "pieces"),
    [(1, 8, 8, [8]), (1, 11, 8, [11]), (1, 13, 8, [7, 6]), (2, 8, 4, [2, 2, 2, 2]), (3, 7, 100, [7])],
)
def test_pieces_are_of_about_the_size_and_of_equal_length(
    batch: int, length: int, size: int, pieces: list[int]
) -> None:
    seen: list[int] = []

    def doubled(piece: Tensor) -> Tensor:
        seen.append(piece.shape[1])
        return torch.cat([piece, -piece], dim=2)

    tokens = torch.randn(batch, length, 3)
    assert torch.equal(by_tokens(doubled, size, tokens), torch.cat([tokens, -tokens], dim=2))
    assert seen == pieces


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
@torch.inference_mode()
def test_a_transformer_that_feeds_few_tokens_at_a_time_says_the_same(
    config: DiTConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    dit = randomise(WanDiT(config)).eval()
    latents, prompt, conditioning = sample(config)
    expected = dit(latents, torch.tensor([400.0]), prompt, conditioning)
    monkeypatch.setattr(blocks, "FED_ON_CPU", 7)
    found = dit(latents, torch.tensor([400.0]), prompt, conditioning)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
