"""The norms against their definitions in float64."""

from __future__ import annotations

import pytest
import torch

from wan_core.ops.norm import RMSNorm, modulated_layer_norm


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("learns", [True, False])
def test_rms_norm_is_computed_in_float32(learns: bool, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 16, generator=generator).to(dtype)
    norm = RMSNorm(16, 1e-6)
    torch.nn.init.normal_(norm.weight, generator=generator)
    wide = x.double()
    expected = wide / (wide.square().mean(-1, keepdim=True) + 1e-6).sqrt() * norm.weight.double()
    with torch.set_grad_enabled(learns):
        found = norm(x)
    assert found.dtype == torch.float32 and torch.equal(x.double(), wide)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 3])
def test_modulated_layer_norm(batch: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, 5, 16, generator=generator) * 3 + 1
    shift, scale = torch.randn(2, batch, 1, 16, generator=generator)
    wide = x.double()
    normed = (wide - wide.mean(-1, keepdim=True)) / (wide.var(-1, keepdim=True, correction=0) + 1e-6).sqrt()
    expected = normed * (1 + scale.double()) + shift.double()
    actual = modulated_layer_norm(x, shift, scale, 1e-6)
    torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=1e-5)
