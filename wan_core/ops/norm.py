"""Normalisations of the DiT; their statistics are always float32."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """Root-mean-square norm over the last dimension, computed in float32 (spec 1.5).

    Args:
        dim: size of the last dimension.
        eps: added to the mean square.
    """

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) of any dtype -> (..., dim), float32."""
        rows, weight = x.float(), self.weight.float()
        if x.device.type != "cpu" or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return F.rms_norm(rows, weight.shape, weight, self.eps)
        # torch's own writes the squares down on a CPU, and the rows once more: this takes half of the time
        length = torch.linalg.vector_norm(rows, dim=-1, keepdim=True).square_()
        length = length.div_(rows.shape[-1]).add_(self.eps).rsqrt_()
        normed = rows * length if rows is x else rows.mul_(length)
        return normed.mul_(weight)


def modulated_layer_norm(x: Tensor, shift: Tensor, scale: Tensor, eps: float) -> Tensor:
    """LayerNorm(x) * (1 + scale) + shift, without parameters of its own (spec 1.4).

    Args:
        x: (B, L, D), float32.
        shift: (B, 1, D) or (1, 1, D), float32.
        scale: of the shape of ``shift``, float32.
        eps: added to the variance.

    Returns:
        (B, L, D), float32.
    """
    width = x.shape[-1:]
    if scale.shape[0] == 1:  # the same for all samples: the modulation is the norm's own affine, in one pass
        return F.layer_norm(x, width, 1 + scale[0, 0], shift[0, 0], eps)
    return torch.addcmul(shift, F.layer_norm(x, width, eps=eps), 1 + scale)
