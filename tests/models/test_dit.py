"""The DiT against diffusers' implementation, and its own promises."""

from __future__ import annotations

import pytest
import torch
from diffusers import WanTransformer3DModel

from tests.models.dit_oracle import fill_oracle, oracle_sizes
from tests.models.randomise import randomise
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT

TINY = DiTConfig(dim=48, ffn_dim=80, num_heads=3, num_layers=3, text_dim=20, freq_dim=32)


@pytest.fixture(scope="module")
def dit() -> WanDiT:
    return randomise(WanDiT(TINY)).eval()


@pytest.fixture(scope="module")
def oracle(dit: WanDiT) -> WanTransformer3DModel:
    return fill_oracle(WanTransformer3DModel(**oracle_sizes(TINY)), dit.state_dict())


def _sample(
    batch: int = 1, grid: tuple[int, int, int] = (3, 6, 10), rows: int = 7
) -> tuple[torch.Tensor, ...]:
    noise = torch.Generator().manual_seed(5)
    latents = torch.randn(batch, TINY.in_dim, *grid, generator=noise)
    return latents, torch.randn(batch, rows, TINY.text_dim, generator=noise)


@pytest.mark.parametrize("timestep", [999, 500, 1])
@pytest.mark.parametrize("grid", [(1, 4, 6), (3, 6, 10), (5, 10, 4)])
@torch.no_grad()
def test_velocity_equals_the_independent_implementation(dit, oracle, timestep, grid) -> None:
    latents, prompt = _sample(grid=grid)
    padded = torch.nn.functional.pad(prompt, (0, 0, 0, TINY.text_len - prompt.shape[1]))
    expected = oracle(latents, torch.tensor([timestep]), padded).sample
    velocity = dit(latents, torch.tensor([timestep]), prompt)
    assert velocity.dtype == torch.float32
    assert expected.abs().mean() > 0.1
    torch.testing.assert_close(velocity, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 7, 510, 511, 512])
@torch.no_grad()
def test_prompt_padded_by_the_caller_gives_the_same_velocity(dit, rows) -> None:
    latents, prompt = _sample(rows=rows)
    padded = torch.nn.functional.pad(prompt, (0, 0, 0, TINY.text_len - rows))
    timestep = torch.tensor([700])
    torch.testing.assert_close(
        dit(latents, timestep, prompt), dit(latents, timestep, padded), rtol=1e-5, atol=1e-5
    )


def test_table_made_in_inference_mode_serves_training() -> None:
    model = WanDiT(TINY)
    latents, prompt = _sample(grid=(2, 14, 2))
    with torch.inference_mode():
        model(latents, torch.tensor([1]), prompt)
    model(latents, torch.tensor([1]), prompt).sum().backward()
    assert model.blocks[0].self_attn.q.weight.grad is not None
