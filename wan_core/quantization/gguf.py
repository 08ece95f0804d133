"""Weights in the block formats of GGUF files."""

from __future__ import annotations

import torch
from torch import Tensor

from wan_core.quantization.gguf_blocks import UNPACK_BLOCKS
from wan_core.schema.schemes import GGUF_SCHEMES

_WEIGHTS_AT_ONCE = 2**23  # bounds the float32 numbers between blocks and result: about 100 MB


def unpack_gguf(packed: Tensor, dtype: torch.dtype, type_name: str) -> Tensor:
    """(rows, bytes of a row), uint8 -> (rows, columns) of ``dtype``.

    Args:
        packed: whole blocks in every row.
        dtype: of the result; blocks are unpacked in float32.
        type_name: as in ``GGUF_SCHEMES``.
    """
    scheme, unpack = GGUF_SCHEMES[type_name], UNPACK_BLOCKS[type_name]
    blocks = packed.reshape(-1, scheme.block_bytes)
    weights = torch.empty(len(blocks), scheme.block, dtype=dtype, device=packed.device)
    step = _WEIGHTS_AT_ONCE // scheme.block
    for start in range(0, len(blocks), step):
        weights[start : start + step] = unpack(blocks[start : start + step])
    return weights.view(packed.shape[0], -1)
