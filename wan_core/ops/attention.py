"""Scaled dot-product attention: the one place that calls an attention kernel."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def attention(query: Tensor, key: Tensor, value: Tensor, key_bias: Tensor | None = None) -> Tensor:
    """Softmax attention with scale 1/sqrt(head_dim) (spec 1.5).

    Args:
        query: (B, L, heads, head_dim).
        key: (B, S, heads, head_dim).
        value: (B, S, heads, head_dim).
        key_bias: (S,), float32, added to every query's logit of that key; n equal keys weigh as
            much as one of them with the bias log(n).

    Returns:
        (B, L, heads * head_dim), in the dtype of ``query``.
    """
    heads_first = [tensor.transpose(1, 2) for tensor in (query, key, value)]
    if query.device.type == "cpu":  # the CPU kernel is a fifth slower on strided input
        heads_first = [tensor.contiguous() for tensor in heads_first]
    mask = None if key_bias is None else key_bias.expand(1, 1, query.shape[1], -1)
    return F.scaled_dot_product_attention(*heads_first, attn_mask=mask).transpose(1, 2).flatten(2)
