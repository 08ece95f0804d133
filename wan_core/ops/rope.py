"""Rotary position embedding over time, height and width (spec 1.6)."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

THETA = 10000.0


def rope_bands(head_dim: int) -> tuple[int, int, int]:
    """Elements of a head turned by the (time, height, width) position: 128 -> (44, 42, 42)."""
    spatial = 2 * (head_dim // 6)
    return head_dim - 2 * spatial, spatial, spatial


@lru_cache(maxsize=2)
def rope_table(
    grid: tuple[int, int, int], head_dim: int, device: torch.device, slowed: tuple[int, int] = (0, 0)
) -> Tensor:
    """Unit complex numbers by which the adjacent pairs of a head turn at each token.

    Angles are computed in float64. The table is no inference tensor, so that training may use it.

    Args:
        grid: tokens along (time, height, width).
        head_dim: elements per head, even.
        device: where the table lies.
        slowed: number of a wave over time, from 1, and a length: the wave turns so slowly that it has not
            come round within 10/9 of it (RIFLEx, arXiv 2502.15894); one that is slower stays. 0 is none.

    Returns:
        (L, head_dim / 2), complex64, tokens in (time, height, width) order, width fastest.
    """
    with torch.inference_mode(False), torch.no_grad():
        axes = [_axis_angles(length, band) for length, band in zip(grid, rope_bands(head_dim), strict=True)]
        wave, frames = slowed
        if wave:
            axes[0][:, wave - 1] *= _slowing(wave, frames, rope_bands(head_dim)[0])
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


def _slowing(wave: int, length: int, band: int) -> float:
    """What the speed of a wave is multiplied by, at most 1."""
    return min(1.0, 0.9 * 2 * math.pi / length / THETA ** (-2 * (wave - 1) / band))


def longest_unslowed(wave: int, head_dim: int) -> int:
    """The longest clip, in latent frames, in which ``rope_table`` leaves a wave as it is."""
    return math.floor(0.9 * 2 * math.pi / THETA ** (-2 * (wave - 1) / rope_bands(head_dim)[0]))


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
