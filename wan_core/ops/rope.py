"""Rotary position embedding over time, height and width (spec 1.6)."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

THETA = 10000.0


def rope_bands(head_dim: int) -> tuple[int, int, int]:
    """Elements of a head turned by the (time, height, width) position: 128 -> (44, 42, 42)."""
    spatial = 2 * (head_dim // 6)
    return head_dim - 2 * spatial, spatial, spatial


@lru_cache(maxsize=2)
def rope_table(grid: tuple[int, int, int], head_dim: int, device: torch.device) -> Tensor:
    """Unit complex numbers by which the adjacent pairs of a head turn at each token.

    Angles are computed in float64. The table is no inference tensor, so that training may use it.

    Args:
        grid: tokens along (time, height, width).
        head_dim: elements per head, even.
        device: where the table lies.

    Returns:
        (L, head_dim / 2), complex64, tokens in (time, height, width) order, width fastest.
    """
    with torch.inference_mode(False), torch.no_grad():
        axes = [_axis_angles(length, band) for length, band in zip(grid, rope_bands(head_dim), strict=True)]
        time, height, width = grid
        angles = torch.cat(
            [
                axes[0].view(time, 1, 1, -1).expand(time, height, width, -1),
                axes[1].view(1, height, 1, -1).expand(time, height, width, -1),
                axes[2].view(1, 1, width, -1).expand(time, height, width, -1),
            ],
            dim=-1,
        ).flatten(0, 2)
        return torch.polar(torch.ones_like(angles), angles).to(device, torch.complex64)


def _axis_angles(length: int, band: int) -> Tensor:
    """(length, band / 2), float64: position times THETA^(-2i / band)."""
    exponents = torch.arange(0, band, 2, dtype=torch.float64, device="cpu") / band
    positions = torch.arange(length, dtype=torch.float64, device="cpu")
    return torch.outer(positions, THETA**-exponents)


def apply_rope(heads: Tensor, table: Tensor) -> Tensor:
    """Turn every adjacent pair of elements by its token's angle.

    Args:
        heads: (B, L, heads, head_dim), float32.
        table: (L, head_dim / 2), complex64, of :func:`rope_table`.

    Returns:
        (B, L, heads, head_dim), float32.
    """
    pairs = torch.view_as_complex(heads.unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * table[:, None]).flatten(-2)
