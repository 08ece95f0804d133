"""Quantised weights come and go as plain ones do, and are never cast on the way."""

from __future__ import annotations

import gc

import pytest
import torch

from benchmarks.gguf_packing import pack
from tests.manager.fake_mover import FakeMover
from tests.models.randomise import randomise
from tests.quantization.test_prepare import DIT, filled, matrices, velocity
from wan_core.manager.residency import Residency
from wan_core.models.dit.model import WanDiT
from wan_core.quantization.linear import QuantLinear

SCHEMES = ("fp8_e4m3", "fp8_scaled", "int8", "Q8_0")


def quantised(scheme: str) -> WanDiT:
    plain = randomise(WanDiT(DIT), 0).eval()
    state = dict(plain.state_dict())
    if scheme == "Q8_0":
        state |= {name: pack(state[name], scheme) for name in matrices(plain)}
        return filled(plain, state, None, torch.float32)
    return filled(plain, state, scheme, torch.float32)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("in_pieces", [False, True])
def test_streaming_changes_no_bit(scheme: str, in_pieces: bool) -> None:
    dit, mover = quantised(scheme), FakeMover()
    expected = velocity(dit)
    residency = Residency(dit, mover)
    residency.place((0, 1), in_pieces)
    assert torch.equal(velocity(dit), expected)
    residency.withdraw()
    gc.collect()
    assert mover.allocated == 0
    assert torch.equal(velocity(dit), expected)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_packed_weights_are_not_cast_with_the_others(scheme: str) -> None:
    dit, mover = quantised(scheme), FakeMover()
    layers = [module for module in dit.modules() if isinstance(module, QuantLinear)]
    before = [(layer.packed.clone(), layer.scale) for layer in layers]
    residency = Residency(dit, mover, lambda name: None if WanDiT.keep_in_fp32(name) else torch.bfloat16)
    residency.place()
    assert dit.patch_embedding.weight.dtype == layers[0].bias.dtype == torch.bfloat16
    for layer, (packed, scale) in zip(layers, before, strict=True):
        assert torch.equal(layer.packed, packed)
        assert layer.scale is None or (layer.scale.dtype, layer.scale.tolist()) == (
            scale.dtype,
            scale.tolist(),
        )
    expected = velocity(quantised(scheme))
    assert ((velocity(dit) - expected).norm() / expected.norm()).item() < 0.02


def test_the_model_is_as_small_as_it_looks() -> None:
    dit, mover = quantised("int8"), FakeMover()
    Residency(dit, mover).place()
    assert mover.allocated == sum(t.nbytes for t in (*dit.parameters(), *dit.buffers()))
