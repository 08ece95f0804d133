"""fp8 weights against arithmetic by hand and against torch's own conversions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wan_core.quantization.fp8 import FORMATS, decode_by_bits, pack_fp8, unpack_fp8
from wan_core.quantization.fp8_matmul import Fp8MatmulLinear, multiplies_fp8, quantise_rows
from wan_core.quantization.linear import QuantLinear
from wan_core.quantization.stored import StoredTensor, store

E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2


def linear_and_input(rows: int = 5) -> tuple[nn.Linear, torch.Tensor]:
    torch.manual_seed(0)
    return nn.Linear(48, 32), torch.randn(2, rows, 48)


def test_e4m3_without_scales_rounds_and_saturates() -> None:
    weight = torch.tensor([[0.3, -1.0, 1000.0, 2**-9, 2**-11]])
    packed, scale = pack_fp8(weight, "fp8_e4m3")
    assert (packed.dtype, scale) == (torch.uint8, None)
    found = unpack_fp8(packed, None, torch.float32, E4M3)
    assert found.tolist() == [[0.3125, -1.0, 448.0, 2**-9, 0.0]]


def test_e5m2_without_scales_rounds_and_saturates() -> None:
    packed, _ = pack_fp8(torch.tensor([[0.3, 1e6, 2**-16]]), "fp8_e5m2")
    assert unpack_fp8(packed, None, torch.float32, E5M2).tolist() == [[0.3125, 57344.0, 2**-16]]


def test_each_row_is_scaled_to_the_whole_range() -> None:
    packed, scale = pack_fp8(torch.tensor([[0.5, -1.0], [0.0, 0.0], [448.0, 224.0]]), "fp8_scaled")
    assert torch.equal(scale, torch.tensor([[1 / 448], [1.0], [1.0]]))
    assert packed.view(E4M3).float().tolist() == [[224.0, -448.0], [0.0, 0.0], [448.0, 224.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_unpacking_rounds_once(dtype: torch.dtype) -> None:
    weight = torch.randn(8, 40) / 50
    packed, scale = pack_fp8(weight, "fp8_scaled")
    exact = packed.view(E4M3).double() * scale.double()
    assert torch.equal(unpack_fp8(packed, scale, dtype, E4M3), exact.float().to(dtype))


@pytest.mark.parametrize("format_", [E4M3, E5M2])
def test_all_finite_bytes_are_decoded_without_fp8(format_: torch.dtype) -> None:
    every = torch.arange(256, dtype=torch.uint8)
    expected = every.view(format_).float()
    finite = expected.isfinite()
    assert finite.sum() >= 248
    assert torch.equal(decode_by_bits(every, format_).float()[finite], expected[finite])


@pytest.mark.parametrize(("scheme", "bound"), [("fp8_e4m3", 0.07), ("fp8_e5m2", 0.09), ("fp8_scaled", 0.04)])
def test_a_layer_is_close_to_the_plain_one(scheme: str, bound: float) -> None:
    linear, x = linear_and_input()
    layer = QuantLinear(store(linear.weight.detach(), scheme), linear.bias)
    expected = linear(x)
    assert relative(layer(x), expected) < bound
    assert torch.equal(layer(x), nn.functional.linear(x, layer.dequantise(), linear.bias))
    assert layer(x.bfloat16()).dtype == torch.bfloat16


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


def test_rows_of_input_are_scaled_by_themselves() -> None:
    rows = torch.tensor([[1.0, -2.0], [0.0, 0.0], [1e-4, 3e-5]], dtype=torch.bfloat16)
    part, scale = quantise_rows(rows)
    assert part.dtype == E4M3
    assert part.float()[0].tolist() == [112.0 * 2, -448.0]
    assert part.float()[1].tolist() == [0.0, 0.0]
    assert relative(part.float() * scale, rows.float()) < 0.02
    assert relative(part.float()[2] * scale[2], rows.float()[2]) < 0.04


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_product_in_fp8_is_that_of_the_rounded_factors(dtype: torch.dtype) -> None:
    linear, x = linear_and_input()
    x = x.to(dtype)
    layer = Fp8MatmulLinear(store(linear.weight.detach(), "fp8_scaled"), nn.Parameter(linear.bias.to(dtype)))
    rounded, scale = quantise_rows(x.reshape(-1, 48))
    expected = rounded.float() * scale @ layer.dequantise().t() + linear.bias.to(dtype).float()
    found = layer.multiply(x)
    assert (found.dtype, found.shape) == (dtype, (2, 5, 32))
    assert relative(found.float().reshape(-1, 32), expected) < 0.004  # bfloat16 rounding


def test_one_scale_for_the_whole_tensor_will_do() -> None:
    linear, x = linear_and_input()
    weight = linear.weight.detach()
    packed = (weight * 100).to(E4M3).view(torch.uint8)
    stored = StoredTensor("fp8_scaled", packed, torch.tensor([[0.01]]), tuple(weight.shape))
    layer = Fp8MatmulLinear(stored, linear.bias)
    assert relative(layer(x), linear(x)) < 0.04
    assert relative(layer.multiply(x.bfloat16()).float(), linear(x)) < 0.06


def test_a_cpu_unpacks() -> None:
    linear, x = linear_and_input()
    stored = store(linear.weight.detach(), "fp8_scaled")
    assert not multiplies_fp8(torch.device("cpu"))
    assert torch.equal(
        Fp8MatmulLinear(stored, linear.bias)(x.bfloat16()), QuantLinear(stored, linear.bias)(x.bfloat16())
    )


@pytest.mark.parametrize(
    ("product", "words"),
    [
        (RuntimeError("no such kernel"), "multiplies no fp8 matrices: no such kernel"),
        (15.0, "multiplies fp8 matrices wrongly"),
        (16.0, ""),
    ],
)
def test_a_card_is_asked_whether_it_multiplies(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, product: object, words: str
) -> None:
    def multiply(*_: object, **__: object) -> torch.Tensor:
        if isinstance(product, Exception):
            raise product
        return torch.full((16, 16), product)

    ones = torch.ones(16, 16)
    monkeypatch.setattr(torch, "ones", lambda *size, device: ones)
    monkeypatch.setattr(torch, "_scaled_mm", multiply)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 9))
    ask = multiplies_fp8.__wrapped__
    assert ask(torch.device("cuda")) is (product == 16.0)
    assert words in caplog.text and bool(words) == bool(caplog.text)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 6))
    assert not ask(torch.device("cuda"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_card_multiplies_as_the_cpu_does() -> None:
    device = torch.device("cuda")
    if not multiplies_fp8(device):
        pytest.skip("this card has no fp8 matrix product")
    linear, x = linear_and_input(rows=77)
    layer = Fp8MatmulLinear(store(linear.weight.detach(), "fp8_scaled"), linear.bias.bfloat16())
    expected = layer.multiply(x.bfloat16()).float()
    assert relative(layer.to(device)(x.bfloat16().to(device)).cpu().float(), expected) < 0.01


def test_the_table_of_formats() -> None:
    assert FORMATS == {"fp8_e4m3": E4M3, "fp8_e5m2": E5M2, "fp8_scaled": E4M3}
