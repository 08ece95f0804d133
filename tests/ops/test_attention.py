"""Attention against the softmax written out."""

from __future__ import annotations

import math

import torch

from wan_core.ops.attention import attention


def test_attention_equals_the_softmax_written_out() -> None:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 5, 3, 8, generator=generator)
    key, value = torch.randn(2, 2, 7, 3, 8, generator=generator)
    logits = torch.einsum("blhd,bshd->bhls", query, key) / math.sqrt(8)
    expected = torch.einsum("bhls,bshd->blhd", logits.softmax(-1), value).flatten(2)
    torch.testing.assert_close(attention(query, key, value), expected, rtol=1e-5, atol=1e-6)


def test_bias_of_log_n_stands_for_n_equal_keys() -> None:
    generator = torch.Generator().manual_seed(1)
    query = torch.randn(1, 4, 2, 8, generator=generator)
    key, value = torch.randn(2, 1, 3, 2, 8, generator=generator)
    repeated = [torch.cat([rows[:, :2], rows[:, 2:].expand(-1, 50, -1, -1)], dim=1) for rows in (key, value)]
    bias = torch.tensor([0.0, 0.0, math.log(50)])
    torch.testing.assert_close(
        attention(query, key, value, bias), attention(query, *repeated), rtol=1e-5, atol=1e-6
    )
