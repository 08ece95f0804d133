"""A prepared transformer computes what it computes unprepared, and reads each prompt and picture once."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest
import torch

from tests.models.dit_kinds import I2V, KINDS, T2V, sample
from tests.models.randomise import randomise
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.pipelines.preparing import prepared

STEPS = [torch.tensor([900.0]), torch.tensor([300.0])]


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
@torch.inference_mode()
def test_the_velocity_stays_the_same_in_every_step(config: DiTConfig) -> None:
    dit = randomise(WanDiT(config)).eval()
    latents, prompt, conditioning = sample(config)
    other = torch.randn(1, 4, config.text_dim, generator=torch.Generator().manual_seed(9))
    passes = [(latents * n, step, text) for n, step in enumerate(STEPS, 1) for text in (prompt, other)]
    expected = [dit(*inputs, conditioning) for inputs in passes]
    with prepared(dit):
        for inputs, right in zip(passes, expected, strict=True):
            torch.testing.assert_close(dit(*inputs, conditioning), right, rtol=1e-5, atol=1e-5)
    assert dit.memory is None
    assert torch.equal(dit(*passes[0], conditioning), expected[0])


@torch.inference_mode()
def test_prompt_and_picture_are_read_once() -> None:
    dit = randomise(WanDiT(I2V)).eval()
    latents, prompt, conditioning = sample(I2V)
    calls: Counter[str] = Counter()
    for name, module in dit.named_modules():
        if name.endswith(("cross_attn.k", "cross_attn.v", ".k_img", ".v_img", "text_embedding.0", "proj.1")):
            module.register_forward_hook(lambda *_, name=name: calls.update([name]))
    with prepared(dit):
        for step in STEPS:
            dit(latents, step, prompt, conditioning)
    assert len(calls) == 4 * I2V.num_layers + 2
    assert set(calls.values()) == {1}


@torch.inference_mode()
def test_another_tensor_is_another_prompt_and_changed_weights_are_read_after_forgetting() -> None:
    dit = randomise(WanDiT(T2V)).eval()
    latents, prompt, _ = sample(T2V)
    with prepared(dit) as memory:
        first = dit(latents, STEPS[0], prompt)
        assert not torch.allclose(dit(latents, STEPS[0], prompt + 1), first)
        dit.blocks[1].cross_attn.norm_k.weight.mul_(2)
        assert torch.equal(dit(latents, STEPS[0], prompt), first)
        memory.forget()
        right = dit(latents, STEPS[0], prompt)
    torch.testing.assert_close(dit(latents, STEPS[0], prompt), right, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(right, first)


@torch.inference_mode()
def test_many_prompts_are_not_kept_without_bound() -> None:
    dit = randomise(WanDiT(dataclasses.replace(T2V, num_layers=1))).eval()
    latents, prompt, _ = sample(T2V)
    with prepared(dit) as memory:
        for n in range(40):
            dit(latents, STEPS[0], prompt * n)
        assert len(memory._made) <= 16
