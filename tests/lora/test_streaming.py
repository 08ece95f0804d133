"""LoRAs on a model whose blocks come and go: the numbers are those of one that stays."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.lora.making import CONFIG, Tensors, low_rank, noise, tiny_dit, use, velocity, velocity_wearing
from tests.manager.fake_mover import FakeMover
from wan_core.lora.fitting import Lora, fit
from wan_core.lora.wearing import wearing
from wan_core.manager.residency import Residency

DEEP = dataclasses.replace(CONFIG, num_layers=4)


def every_kind() -> Tensors:
    """Low rank, DoRA, a norm, a modulation and a bias, in streamed blocks and outside of them."""
    paths = ("blocks.0.self_attn.q", "blocks.1.ffn.0", "blocks.3.ffn.2", "patch_embedding", "head.head")
    words = ("lora_down.weight", "lora_up.weight", "alpha")
    tensors, _ = low_rank(tiny_dit(DEEP), paths, lambda path: path, words)
    return {
        **tensors,
        "blocks.1.ffn.0.dora_scale": 1 + noise(96, 1).abs(),
        "blocks.2.norm3.diff": noise(48),
        "blocks.2.diff_m": noise(1, 6, 48),
        "blocks.3.cross_attn.norm_q.diff": noise(48),
        "blocks.3.cross_attn.o.diff_b": noise(48),
    }


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize("pin_limit", [0, 2**30])
def test_streamed_blocks_wear_what_resident_ones_wear(in_pieces: bool, pin_limit: int) -> None:
    tensors = every_kind()
    bare, wanted = velocity(tiny_dit(DEEP)), velocity_wearing(tiny_dit(DEEP), (tensors, use()))
    model = tiny_dit(DEEP)
    residency = Residency(model, FakeMover())
    residency.place((0, 1, 2, 3), in_pieces, pin_limit)
    for _ in range(2):
        with wearing(model, [fit(Lora(use(), tensors), model)]):
            assert torch.equal(velocity(model), wanted)
            assert torch.equal(velocity(model), wanted)
        assert torch.equal(velocity(model), bare)
    residency.withdraw()
    assert torch.equal(velocity(model), bare)
