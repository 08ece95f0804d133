"""In pieces comes out what comes out at once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.models.dit_kinds import KINDS, sample
from tests.models.randomise import randomise
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.ops import chunking
from wan_core.ops.chunking import by_tokens
from wan_core.pipelines.preparing import prepared


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


def test_several_inputs_are_cut_alike() -> None:
    rows, table = torch.randn(2, 9, 3, 2), torch.randn(1, 9, 2)
    found = by_tokens(lambda x, y: x * y[:, :, None], 5, rows, table)
    assert torch.equal(found, rows * table[:, :, None])


@pytest.mark.parametrize("is_prepared", [False, True], ids=["plain", "prepared"])
@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
@torch.inference_mode()
def test_a_transformer_that_works_on_few_tokens_at_a_time_says_the_same(
    config: DiTConfig, is_prepared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    dit = randomise(WanDiT(config)).eval()
    latents, prompt, conditioning = sample(config)
    inputs = latents, torch.tensor([400.0]), torch.cat([prompt, prompt.flip(1)]), conditioning
    expected = dit(*inputs)
    pieces: list[int] = []
    dit.blocks[0].ffn.register_forward_hook(lambda _, given, __: pieces.append(given[0].shape[1]))
    monkeypatch.setattr(chunking, "NEAR", 7)
    if is_prepared:
        with prepared(dit):
            found = dit(*inputs)
    else:
        found = dit(*inputs)
    assert max(pieces) < 20
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
