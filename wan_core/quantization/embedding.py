"""A table of embeddings that is kept packed, as GGUF files hold umT5's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wan_core.quantization.stored import UNPACK, StoredTensor


class QuantEmbedding(nn.Module):
    """Unpacks the rows that are asked for, and no others: a mapped table is hardly read.

    Args:
        stored: the table, (rows, width).
        dtype: of what is looked up.
    """

    def __init__(self, stored: StoredTensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = stored.shape
        self.scheme, self.dtype = stored.scheme, dtype
        self.register_buffer("packed", stored.packed)
        self.register_buffer("scale", stored.scale)

    def forward(self, ids: Tensor) -> Tensor:
        """(...) -> (..., width)."""
        rows = ids.flatten()
        scale = self.scale if self.scale is None or len(self.scale) == 1 else self.scale[rows]
        return UNPACK[self.scheme](self.packed[rows], scale, self.dtype).unflatten(0, ids.shape)
