"""The image-to-video and first-last-frame transformers against diffusers', and their own promises."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from diffusers import WanTransformer3DModel

from tests.models.dit_oracle import fill_oracle, oracle_sizes
from tests.models.randomise import randomise
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT

ROWS = 5  # of one picture

I2V = DiTConfig(
    dim=48, ffn_dim=80, num_heads=3, num_layers=3, in_dim=36, text_dim=20, freq_dim=32, image_dim=28
)
FLF2V = dataclasses.replace(I2V, image_positions=2 * ROWS)

Sample = tuple[torch.Tensor, torch.Tensor, DiTConditioning]


def _sample(config: DiTConfig, batch: int = 1, grid: tuple[int, int, int] = (3, 6, 10)) -> Sample:
    noise = torch.Generator().manual_seed(5)
    rows = config.image_positions or ROWS
    conditioning = DiTConditioning(
        channel_latents=torch.randn(batch, 20, *grid, generator=noise),
        image_embeds=0.02 * torch.randn(batch, rows, config.image_dim, generator=noise),  # shows the eps
    )
    latents = torch.randn(batch, 16, *grid, generator=noise)
    return latents, torch.randn(batch, 7, config.text_dim, generator=noise), conditioning


@pytest.fixture(scope="module", params=[I2V, FLF2V], ids=lambda config: config.kind)
def dit(request: pytest.FixtureRequest) -> WanDiT:
    return randomise(WanDiT(request.param)).eval()


@pytest.fixture(scope="module")
def oracle(dit: WanDiT) -> torch.nn.Module:
    config = dit.config
    oracle = WanTransformer3DModel(
        **oracle_sizes(config),
        image_dim=config.image_dim,
        added_kv_proj_dim=config.dim,
        pos_embed_seq_len=config.image_positions or None,
    )
    return fill_oracle(oracle, dit.state_dict())


@pytest.mark.parametrize("timestep", [999, 500, 1])
@pytest.mark.parametrize("grid", [(1, 4, 6), (3, 6, 10)])
@torch.no_grad()
def test_velocity_equals_the_independent_implementation(dit, oracle, timestep, grid) -> None:
    latents, prompt, conditioning = _sample(dit.config, grid=grid)
    step = torch.tensor([timestep])
    expected = oracle(
        torch.cat([latents, conditioning.channel_latents], dim=1),
        step,
        torch.nn.functional.pad(prompt, (0, 0, 0, dit.config.text_len - prompt.shape[1])),
        conditioning.image_embeds.view(-1, ROWS, dit.config.image_dim),  # a picture is a sample of theirs
    ).sample
    velocity = dit(latents, step, prompt, conditioning)
    assert velocity.shape == latents.shape and velocity.dtype == torch.float32
    assert expected.abs().mean() > 0.1
    torch.testing.assert_close(velocity, expected, rtol=1e-5, atol=1e-5)


def test_norms_of_the_picture_have_their_own_eps(dit) -> None:
    assert (dit.img_emb.proj[0].eps, dit.img_emb.proj[4].eps) == (1e-5, 1e-5)
