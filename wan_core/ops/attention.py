"""Scaled dot-product attention: the one place that calls an attention kernel."""

from __future__ import annotations

from torch import Tensor

from wan_core.ops.kernels import KERNELS, Kernel
from wan_core.ops.sparse import Grid, sparse_attention
from wan_core.schema.attention import AttentionName

_chosen: list[Kernel] = [KERNELS["auto"]]  # process-wide, as one engine runs in a process


def use_attention(name: AttentionName) -> None:
    """Compute attention with this kernel from now on, process-wide, wherever it takes what it is given.

    ``wan_core.ops.attention_probe`` tells whether it works on a device.
    """
    _chosen[0] = KERNELS[name]


def attention_in_use() -> AttentionName:
    """The kernel that was chosen last."""
    return next(name for name, kernel in KERNELS.items() if kernel is _chosen[0])


def attention(
    query: Tensor, key: Tensor, value: Tensor, key_bias: Tensor | None = None, grid: Grid | None = None
) -> Tensor:
    """Softmax attention with scale 1/sqrt(head_dim) (spec 1.5).

    A single sample among the queries, or among keys and values, stands for as many as the others are.

    Args:
        query: (B, L, heads, head_dim).
        key: (B, S, heads, head_dim).
        value: (B, S, heads, head_dim).
        key_bias: (S,), float32, added to every query's logit of that key; n equal keys weigh as
            much as one of them with the bias log(n).
        grid: of self-attention, how the tokens lie, for kernels that leave out some pairs of a video's.

    Returns:
        (B, L, heads * head_dim), in the dtype of ``query``.
    """
    batch = max(query.shape[0], key.shape[0])
    query, key, value = (tensor.expand(batch, -1, -1, -1) for tensor in (query, key, value))
    kernel = _chosen[0] if _chosen[0].takes(query, key_bias) else KERNELS["auto"]
    if kernel.pattern and grid is not None and grid.size[0] > 1:
        return sparse_attention(kernel.pattern, query, key, value, grid).flatten(2)
    return kernel.run(query, key, value, key_bias).flatten(2)
