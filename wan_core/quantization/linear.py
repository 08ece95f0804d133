"""A linear layer whose weight is kept packed."""

# M rows of input, in/out features

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wan_core.quantization.stored import UNPACK, StoredTensor


class QuantLinear(nn.Module):
    """Unpacks its weight for each use, to the dtype of its input, and computes in that.

    The packed numbers and scales are buffers, so that they are counted, saved and moved as those of any
    module. There is no tensor called ``weight``: whoever needs it asks for ``dequantise()``.

    Args:
        stored: the weight, (out, in).
        bias: (out,) or None.
    """

    weight = None  # transformers' umT5 looks at it, for its dtype, where it is a tensor

    def __init__(self, stored: StoredTensor, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.out_features, self.in_features = stored.shape
        self.scheme = stored.scheme
        self.register_buffer("packed", stored.packed)
        self.register_buffer("scale", stored.scale)
        self.bias = bias

    def dequantise(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The weight, (out, in)."""
        return UNPACK[self.scheme](self.packed, self.scale, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out), in the dtype of ``x``."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.dequantise(x.dtype), bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, scheme={self.scheme}"
