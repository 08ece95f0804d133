"""The VACE transformer against diffusers', and its own promises."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from diffusers import WanVACETransformer3DModel

from tests.models.dit_oracle import fill_oracle, oracle_sizes
from tests.models.randomise import randomise
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.dit.vace import vace_hints

T2V = DiTConfig(dim=48, ffn_dim=80, num_heads=3, num_layers=5, text_dim=20, freq_dim=32)
VACE = dataclasses.replace(T2V, vace_in_dim=24, vace_layers=(0, 2, 3))

Sample = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def _sample(batch: int = 1, grid: tuple[int, int, int] = (3, 6, 10)) -> Sample:
    noise = torch.Generator().manual_seed(5)
    latents = torch.randn(batch, 16, *grid, generator=noise)
    prompt = torch.randn(batch, 7, VACE.text_dim, generator=noise)
    return latents, prompt, torch.randn(batch, VACE.vace_in_dim, *grid, generator=noise)


@pytest.fixture(scope="module")
def dit() -> WanDiT:
    return randomise(WanDiT(VACE)).eval()


@pytest.fixture(scope="module")
def oracle(dit: WanDiT) -> torch.nn.Module:
    oracle = WanVACETransformer3DModel(
        **oracle_sizes(VACE), vace_in_channels=VACE.vace_in_dim, vace_layers=list(VACE.vace_layers)
    )
    return fill_oracle(oracle, dit.state_dict())


@pytest.mark.parametrize("scale", [1.0, 0.6])
@pytest.mark.parametrize("timestep", [999, 500, 1])
@pytest.mark.parametrize("grid", [(1, 4, 6), (3, 6, 10)])
@torch.no_grad()
def test_velocity_equals_the_independent_implementation(dit, oracle, scale, timestep, grid) -> None:
    latents, prompt, control = _sample(grid=grid)
    step = torch.tensor([timestep])
    expected = oracle(
        latents,
        step,
        torch.nn.functional.pad(prompt, (0, 0, 0, VACE.text_len - prompt.shape[1])),
        control_hidden_states=control,
        control_hidden_states_scale=torch.full((3,), scale),
    ).sample
    velocity = dit(latents, step, prompt, DiTConditioning(vace_latents=control, vace_scale=scale))
    assert velocity.dtype == torch.float32
    assert expected.abs().mean() > 0.1
    torch.testing.assert_close(velocity, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_hints_made_before_the_main_blocks_are_the_same(dit) -> None:
    latents, prompt, control = _sample()
    given = DiTConditioning(vace_latents=control, vace_scale=0.7)
    start, context = dit.embed(latents, torch.tensor([400]), prompt, given)
    hints = dict(zip(VACE.vace_layers, list(vace_hints(dit.vace_blocks, start, context)), strict=True))
    tokens = start
    for number, block in enumerate(dit.blocks):
        tokens = block(tokens, context)
        if number in hints:
            tokens = torch.add(tokens, hints[number], alpha=0.7)
    assert torch.equal(dit.run_blocks(start, context), tokens)
