"""Sparse attention: the patterns by hand, and the result against dense attention with the same mask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from wan_core.ops import attention as chosen
from wan_core.ops.attention import attention, use_attention
from wan_core.ops.attention_probe import attention_unsupported
from wan_core.ops.sparse import (
    BLOCK,
    PATTERNS,
    Grid,
    dense_mask,
    key_blocks,
    order_of,
    sparse_attention,
    visibility,
)

CPU = torch.device("cpu")
CLIP = Grid((6, 8, 16), front=3)
LENGTH = CLIP.end + 5


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    use_attention("auto")
    attention_unsupported.cache_clear()


def tensors(length: int = LENGTH) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, length, 2, 16, generator=generator) for _ in range(3)]


def masked(pattern: str, grid: Grid, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    heads_first = [tensor.transpose(1, 2) for tensor in (query, key, value)]
    mask = dense_mask(pattern, grid, query.shape[1])
    return F.scaled_dot_product_attention(*heads_first, attn_mask=mask).transpose(1, 2)


def test_radial_sees_less_the_further_away() -> None:
    """Frames of 2 x 4 tokens; the query is the first token of frame 1 of 9."""
    mask = dense_mask("radial", Grid((9, 2, 4)), 72)
    seen = mask[8].view(9, 8).sum(1).tolist()
    assert seen == [8, 8, 8, 4, 4, 2, 2, 2, 2]  # the first frame whole, widths 8, 8, 4, 4, 2 ... to one side
    assert mask[8 * 5 + 3].view(9, 8)[8].tolist() == [True] * 7 + [False]


def test_sliding_tiles_see_those_around_and_as_many_at_an_edge() -> None:
    """Tiles of 4 x 4 x 8: of 5 x 6 x 6 tiles each sees 3 x 5 x 5."""
    grid = Grid((20, 24, 48))
    see = visibility("tiled", grid, CPU)
    places = torch.arange(grid.end)

    def tiles_of(frame: int, row: int, column: int) -> Tensor:
        query = torch.tensor((frame * 24 + row) * 48 + column)
        return see(query, places).view(5, 4, 6, 4, 6, 8)[:, 0, :, 0, :, 0]

    middle, corner = tiles_of(9, 13, 20), tiles_of(0, 0, 0)
    assert middle.sum() == corner.sum() == 3 * 5 * 5
    assert middle[:, 3, 2].nonzero().flatten().tolist() == [1, 2, 3]
    assert middle[2, :, 2].nonzero().flatten().tolist() == [1, 2, 3, 4, 5]
    assert corner[:, 0, 0].nonzero().flatten().tolist() == [0, 1, 2]
    assert corner[0, 0].nonzero().flatten().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_stands_beside_the_clip_sees_all_and_is_seen(pattern: str) -> None:
    mask = dense_mask(pattern, CLIP, LENGTH)
    for beside in (slice(0, 3), slice(CLIP.end, None)):
        assert mask[beside].all() and mask[:, beside].all()
    assert not mask.all() or pattern == "tiled"
    assert mask.diagonal().all()


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(
    ("grid", "length"), [(CLIP, LENGTH), (Grid((13, 9, 11)), 13 * 99), (Grid((2, 1, 1)), 2)]
)
def test_it_is_dense_attention_with_the_same_mask(pattern: str, grid: Grid, length: int) -> None:
    given = tensors(length)
    with torch.inference_mode():
        found = sparse_attention(pattern, *given, grid)
    torch.testing.assert_close(found, masked(pattern, grid, *given), rtol=0, atol=2e-6)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_blocks_that_are_computed_are_those_with_something_to_see(pattern: str) -> None:
    grid = Grid((13, 9, 11), front=3)
    length = grid.end + 4
    order = order_of(pattern, grid, length)
    assert order.sort().values.equal(torch.arange(length))
    some, whole = key_blocks(visibility(pattern, grid, CPU), order)
    mask = dense_mask(pattern, grid, length)[order][:, order]
    for row, column in torch.cartesian_prod(torch.arange(len(some)), torch.arange(len(some))).tolist():
        part = mask[row * BLOCK : (row + 1) * BLOCK, column * BLOCK : (column + 1) * BLOCK]
        assert some[row, column] == part.any()
        assert whole[row, column] == (part.all() and part.numel() == BLOCK**2)


@pytest.mark.parametrize(("name", "pattern"), [("radial", "radial"), ("sliding_tile", "tiled")])
def test_a_sparse_kernel_is_used_where_it_knows_how_tokens_lie(name: str, pattern: str) -> None:
    given = tensors()
    dense = attention(*given)
    use_attention(name)
    assert torch.equal(attention(*given), dense)
    assert torch.equal(attention(*given, grid=Grid((1, 24, 32))), dense)  # a single picture
    sparse = attention(*given, grid=Grid((24, 4, 8), front=3))
    torch.testing.assert_close(
        sparse, masked(pattern, Grid((24, 4, 8), front=3), *given).flatten(2), rtol=0, atol=2e-6
    )
    assert not torch.allclose(sparse, dense, atol=1e-3)
    assert chosen._chosen[0].pattern == pattern


@pytest.mark.parametrize("name", ["radial", "sliding_tile"])
def test_its_trial_compares_with_the_mask(name: str) -> None:
    assert attention_unsupported(name, CPU, torch.float32) is None


def test_it_saves_most_of_a_long_clip() -> None:
    """Of pairs of tokens at 832x480x81: half and a quarter."""
    grid = Grid((21, 30, 52))
    places = torch.arange(0, grid.end, 97)
    for pattern, share in (("radial", 0.51), ("tiled", 0.26)):
        see = visibility(pattern, grid, CPU)
        found = see(places[:, None], torch.arange(grid.end)[None]).float().mean()
        assert found.item() == pytest.approx(share, abs=0.01)
