"""int8 weights against arithmetic by hand."""

from __future__ import annotations

import pytest
import torch

from wan_core.quantization.int8 import pack_int8, unpack_int8


def test_by_hand() -> None:
    codes, scale = pack_int8(torch.tensor([[127.0, -63.5, 0.4], [0.0, 0.0, 0.0], [-2.0, 1.0, 0.25]]))
    assert codes.dtype == torch.int8
    assert scale[:2].tolist() == [[1.0], [1.0]]
    assert scale[2].item() == torch.tensor(2 / 127).bfloat16().item()
    assert codes.tolist() == [[127, -64, 0], [0, 0, 0], [-127, 64, 16]]


def test_no_number_is_further_off_than_half_a_step() -> None:
    weight = torch.randn(64, 300)
    codes, scale = pack_int8(weight)
    error = (unpack_int8(codes, scale, torch.float32) - weight).abs()
    # the largest of a row may be a little further off, as its scale is rounded to bfloat16
    assert (error <= scale / 2 * (1 + 1e-5) + weight.abs().amax(1, keepdim=True) * 2**-8).all()
    assert (error <= scale / 2 * (1 + 1e-5)).float().mean() > 0.99


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_unpacking_rounds_once(dtype: torch.dtype) -> None:
    codes, scale = pack_int8(torch.randn(16, 70) / 30)
    exact = codes.double() * scale.double()
    found = unpack_int8(codes, scale, dtype)
    assert found.dtype == dtype
    assert torch.equal(found, exact.float().to(dtype))
