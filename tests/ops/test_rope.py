"""Rotary positions against diffusers' table, and against the definition."""

from __future__ import annotations

import cmath

import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed

from wan_core.ops.rope import apply_rope, rope_bands, rope_table

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("head_dim", "bands"), [(128, (44, 42, 42)), (32, (12, 10, 10)), (16, (8, 4, 4)), (6, (2, 2, 2))]
)
def test_bands_of_a_head(head_dim: int, bands: tuple[int, int, int]) -> None:
    assert rope_bands(head_dim) == bands


def test_table_equals_the_definition() -> None:
    table = rope_table((2, 3, 5), 32, CPU)
    token = (1 * 3 + 2) * 5 + 4  # time 1, height 2, width 4
    angles = [1 * 10000 ** (-2 * i / 12) for i in range(6)]
    angles += [2 * 10000 ** (-2 * i / 10) for i in range(5)]
    angles += [4 * 10000 ** (-2 * i / 10) for i in range(5)]
    expected = torch.tensor([cmath.rect(1, angle) for angle in angles], dtype=torch.complex64)
    torch.testing.assert_close(table[token], expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("grid", "head_dim"), [((3, 4, 6), 32), ((21, 2, 5), 128), ((1, 90, 1), 128)])
def test_turned_heads_equal_the_independent_implementation(grid, head_dim) -> None:
    length = grid[0] * grid[1] * grid[2]
    heads = torch.randn(2, length, 3, head_dim, generator=torch.Generator().manual_seed(0))
    cos, sin = WanRotaryPosEmbed(head_dim, (1, 1, 1), 1024)(torch.empty(1, 1, *grid))
    even, odd = heads[..., 0::2], heads[..., 1::2]
    cos, sin = cos[..., 0::2], sin[..., 1::2]
    expected = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)
    turned = apply_rope(heads, rope_table(grid, head_dim, CPU))
    torch.testing.assert_close(turned, expected, rtol=1e-6, atol=1e-6)
