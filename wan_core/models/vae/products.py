"""In which precision the VAE's convolutions are made: in float32 where a CPU multiplies 16 bits more slowly.

What lies between them, and what a stream keeps of earlier frames, stays in 16 bits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wan_core.ops.onednn import gains_by_float32


def product_dtype(x: Tensor) -> torch.dtype:
    """What products of ``x`` and weights like it are made in."""
    if x.device.type != "cpu" or torch.is_grad_enabled() or not gains_by_float32(x.dtype):
        return x.dtype
    return torch.float32


def convolve(
    convolution: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor, **options: object
) -> Tensor:
    """``convolution`` of torch, made in ``product_dtype`` and handed on in the precision of ``x``."""
    dtype = product_dtype(x)
    return convolution(x.to(dtype), weight.to(dtype), bias.to(dtype), **options).to(x.dtype)
