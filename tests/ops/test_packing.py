"""Packed layers compute what plain ones do, and leave no trace."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from wan_core.ops import packing
from wan_core.ops.onednn import works_with
from wan_core.ops.packing import packed

if not works_with(torch.float32):
    pytest.skip("this torch has no oneDNN", allow_module_level=True)


def feed_forward() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(48, 96), nn.GELU(approximate="tanh"), nn.Linear(96, 48)).eval()


@pytest.fixture(params=[1 / 3, 0.0], ids=["reordered", "no room"])
def share(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_RAM_SHARE", request.param)


@pytest.mark.usefixtures("share")
@pytest.mark.parametrize("rows", [1, 7, 130])
@torch.inference_mode()
def test_packed_equals_plain(rows: int) -> None:
    block, x = feed_forward(), torch.randn(1, rows, 48)
    expected = block(x)
    with packed([block]) as count:
        assert count == 2
        torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-6)
    assert all("forward" not in vars(module) for module in block.modules())
    assert torch.equal(block(x), expected)


@pytest.mark.parametrize(
    ("dtype", "supported"),
    [(torch.bfloat16, "_is_mkldnn_bf16_supported"), (torch.float16, "_is_mkldnn_fp16_supported")],
)
@torch.inference_mode()
def test_the_trial_lets_16_bits_pass_where_the_processor_has_them(dtype: torch.dtype, supported: str) -> None:
    if not getattr(torch.ops.mkldnn, supported)():
        pytest.skip("this processor computes in 32 bits only")
    block = feed_forward().to(dtype)
    with packed([block]) as count:
        assert count == 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rows", [1, 7, 130])
@torch.inference_mode()
def test_products_in_float32_are_nearer_to_the_exact_ones(
    dtype: torch.dtype, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "gains_by_float32", lambda dtype: dtype != torch.float32)
    block = feed_forward().to(dtype)
    x = torch.randn(1, rows, 48).to(dtype)
    exact = block.double()(x.double())
    block = block.to(dtype)
    with packed([block]) as count:
        assert count == 2
        made = block(x)
    assert made.dtype == dtype
    step = torch.finfo(dtype).eps
    torch.testing.assert_close(made.double(), exact, rtol=step, atol=step)
    assert all("forward" not in vars(module) for module in block.modules())


@torch.inference_mode()
def test_where_memory_is_short_nothing_is_widened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "gains_by_float32", lambda dtype: dtype != torch.float32)
    layers = [module for module in feed_forward().bfloat16() if isinstance(module, nn.Linear)]
    needed = 2 * 48 * 96 * 4
    assert packing._widened(layers, needed) == set(layers)
    assert packing._widened(layers, needed - 1) == set()
    assert packing._widened([layer.float() for layer in layers], needed) == set()


@torch.inference_mode()
def test_what_a_hook_adds_to_a_layer_comes_before_the_gelu() -> None:
    block, x = feed_forward(), torch.randn(1, 7, 48)

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output.add_(0.5)

    block[0].register_forward_hook(add)
    expected = block(x)
    with packed([block]) as count:
        assert count == 2
        torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-6)


@torch.inference_mode()
def test_layers_whose_weights_come_and_go_are_left_alone() -> None:
    block = feed_forward()
    for layer in (block[0], block[2]):
        layer.register_forward_pre_hook(lambda module, inputs: None)
    with packed([block]) as count:
        assert count == 0


def test_a_failure_leaves_no_trace() -> None:
    block = feed_forward()
    with pytest.raises(ValueError, match="job"), packed([block]):
        raise ValueError("job")
    assert all("forward" not in vars(module) for module in block.modules())
