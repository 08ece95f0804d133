"""Weights as 8-bit integers with a scale per row (output channel)."""

from __future__ import annotations

import torch
from torch import Tensor

_LARGEST = 127


def pack_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(rows, columns) -> integers of the same shape in -127..127, and scales (rows, 1), float32.

    The scales are bfloat16 numbers, so that unpacking to bfloat16 rounds only once.
    """
    weight = weight.float()
    reach = weight.abs().amax(dim=1, keepdim=True)
    scale = torch.where(reach > 0, reach / _LARGEST, 1.0).bfloat16().float()
    codes = (weight / scale).round_().clamp_(-_LARGEST, _LARGEST)
    return codes.to(torch.int8), scale


def unpack_int8(packed: Tensor, scale: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Integers times their row's scale, in ``dtype``; multiplied in float32, rounded once."""
    return torch.mul(packed, scale, out=torch.empty(packed.shape, dtype=dtype, device=packed.device))
