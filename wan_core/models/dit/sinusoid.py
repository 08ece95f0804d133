"""How a DiT reads a number: as the phases of a range of waves (spec 1.2)."""

from __future__ import annotations

import torch
from torch import Tensor


def sinusoid(numbers: Tensor, width: int) -> Tensor:
    """(B,) -> (B, width), float32: cosines, then sines, computed in float64."""
    half = width // 2
    device = torch.device("cpu") if numbers.device.type == "mps" else numbers.device  # mps has no float64
    exponents = torch.arange(half, dtype=torch.float64, device=device) / half
    angles = torch.outer(numbers.to(device, torch.float64), 10000.0**-exponents)
    return torch.cat([angles.cos(), angles.sin()], dim=1).float().to(numbers.device)
