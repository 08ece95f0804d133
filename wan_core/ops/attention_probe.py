"""Whether an attention kernel works on a device: it is run once, and its numbers are compared."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from wan_core.ops.failures import FOREIGN_FAILURES, first_line
from wan_core.ops.kernels import KERNELS, Kernel
from wan_core.ops.out_of_memory import is_out_of_memory
from wan_core.ops.sparse import Grid, dense_mask, sparse_attention
from wan_core.schema.attention import AttentionName

_GRID = Grid((8, 5, 8), front=9)  # with 4 tokens behind it as many as there are queries
_QUERIES, _KEYS, _HEADS, _HEAD_DIM = 333, 77, 3, 128
"""Lengths that no tile of a kernel divides, and the width that all Wan models have."""


@cache
def attention_unsupported(name: AttentionName, device: torch.device, dtype: torch.dtype) -> str | None:
    """One sentence on why a kernel cannot be used; None where a trial came out right. Asked once a process.

    The trial is one self-attention and one attention to fewer keys, against softmax written out in float32.

    Args:
        name: of ``KERNELS``.
        device: where models run.
        dtype: what the transformer computes in.
    """
    kernel = KERNELS[name]
    lengths = (_QUERIES,) if kernel.pattern else (_QUERIES, _KEYS)
    if kernel.package and find_spec(kernel.package) is None:
        return f"Not installed (Python package {kernel.package})."
    if kernel.dtypes is not None and dtype not in kernel.dtypes:
        return f"It computes in 16 bits only, and the transformer in {_name(dtype)} here."
    try:
        error = max(_error(kernel, device, dtype, keys) for keys in lengths)
    except FOREIGN_FAILURES as problem:
        if is_out_of_memory(problem):
            attention_unsupported.cache_clear()
            return "It could not be tried, as memory was short; start the studio again to try."
        return f"Its trial failed: {first_line(problem)}."
    if not error <= kernel.tolerance:  # also NaN
        return f"It computes wrongly here: it is off by {error:.1%} of the largest number."
    return None


def _error(kernel: Kernel, device: torch.device, dtype: torch.dtype, keys: int) -> float:
    """How far from float32, as a share of the largest number."""
    generator = torch.Generator().manual_seed(keys)
    shapes = [(1, _QUERIES, _HEADS, _HEAD_DIM), *[(1, keys, _HEADS, _HEAD_DIM)] * 2]
    inputs = [torch.randn(shape, generator=generator).to(device, dtype) for shape in shapes]
    with torch.inference_mode():
        if kernel.pattern:
            found = sparse_attention(kernel.pattern, *inputs, _GRID).float().cpu()
        else:
            found = kernel.run(*inputs, None).float().cpu()
        mask = dense_mask(kernel.pattern, _GRID, keys) if kernel.pattern else None
        right = _written_out(*[tensor.float().cpu() for tensor in inputs], mask)
    if found.shape != right.shape:
        return float("inf")
    return ((found - right).abs().max() / right.abs().max()).item()


def _written_out(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """(B, L, heads, head_dim), float32; ``mask``, (L, S), bool, is what is seen."""
    logits = torch.einsum("blhd,bshd->bhls", query, key) / query.shape[-1] ** 0.5
    if mask is not None:
        logits = logits.masked_fill(~mask, float("-inf"))
    return torch.einsum("bhls,bshd->blhd", logits.softmax(-1), value)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
