"""Attention by rows of products, against softmax written out in float64."""

from __future__ import annotations

import pytest
import torch

from wan_core.ops import kernels
from wan_core.ops.kernels import KERNELS
from wan_core.ops.row_attention import attention_by_rows


def make(batch: int, queries: int, keys: int, dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(queries)
    shapes = [(batch, queries, 3, 16), (batch, keys, 3, 16), (batch, keys, 3, 16)]
    return [(2 * torch.randn(shape, generator=generator)).to(dtype) for shape in shapes]


def written_out(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    query, key, value = (tensor.double() for tensor in (query, key, value))
    weights = (torch.einsum("blhd,bshd->bhls", query, key) / query.shape[-1] ** 0.5).softmax(-1)
    return torch.einsum("bhls,bshd->blhd", weights, value)


@pytest.mark.parametrize(
    ("batch", "queries", "keys"), [(1, 5, 7), (2, 256, 300), (1, 513, 91), (3, 700, 256)]
)
def test_in_float32_it_is_attention(batch: int, queries: int, keys: int) -> None:
    inputs = make(batch, queries, keys, torch.float32)
    found = attention_by_rows(*inputs)
    assert (found - written_out(*inputs)).abs().max() < 1e-5
    assert not found.requires_grad and found.dtype is torch.float32


def test_in_bfloat16_it_is_off_by_a_rounding() -> None:
    inputs = make(2, 600, 512, torch.bfloat16)
    right, found = written_out(*inputs), attention_by_rows(*inputs)

    def off(rounded: torch.Tensor) -> float:
        return (rounded.double() - right).square().mean().sqrt().item()

    assert found.dtype is torch.bfloat16
    assert off(found) <= 1.5 * off(right.to(torch.bfloat16))


def test_inputs_may_lie_in_any_order_and_stay_as_they_are() -> None:
    query, key, value = make(2, 300, 300, torch.float32)
    strided = [tensor.transpose(1, 2).contiguous().transpose(1, 2) for tensor in (query, key, value)]
    before = [tensor.clone() for tensor in strided]
    assert torch.equal(attention_by_rows(*strided), attention_by_rows(query, key, value))
    assert all(torch.equal(one, other) for one, other in zip(strided, before, strict=True))


def test_few_tokens_and_compiled_blocks_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def by_rows(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        asked.append(query.shape[1])
        return query

    monkeypatch.setattr(kernels, "attention_by_rows", by_rows)
    run = KERNELS["rows"].run
    for queries, keys in ((255, 400), (400, 255), (400, 400)):
        run(*make(1, queries, keys, torch.bfloat16), None)
    assert asked == [400]
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    run(*make(1, 400, 400, torch.bfloat16), None)
    assert asked == [400]
