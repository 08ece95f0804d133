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


@torch.no_grad()
def test_batch_equals_single_samples(dit) -> None:
    latents, prompt, given = _sample(dit.config, batch=2)
    timestep = torch.tensor([999, 3])
    single = [
        dit(
            latents[i : i + 1],
            timestep[i : i + 1],
            prompt[i : i + 1],
            DiTConditioning(given.channel_latents[i : i + 1], given.image_embeds[i : i + 1]),
        )
        for i in range(2)
    ]
    torch.testing.assert_close(dit(latents, timestep, prompt, given), torch.cat(single), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_bfloat16_weights_keep_the_norms_of_the_picture_in_float32(dit) -> None:
    low = WanDiT(dit.config)
    low.load_state_dict(dit.state_dict())
    for name, parameter in low.named_parameters():
        if not low.keep_in_fp32(name):
            parameter.data = parameter.data.bfloat16()
    kept = {name for name, parameter in low.named_parameters() if parameter.dtype == torch.float32}
    assert {"img_emb.proj.0.weight", "img_emb.proj.4.bias", "blocks.1.cross_attn.norm_k_img.weight"} <= kept
    assert ("img_emb.emb_pos" in kept) == (dit.config.kind == "flf2v")
    assert not any(
        part in name for name in kept for part in ("proj.1.weight", "proj.3.", ".k_img.", ".v_img.")
    )
    latents, prompt, conditioning = _sample(dit.config)
    timestep = torch.tensor([900])
    velocity, expected = (model(latents, timestep, prompt, conditioning) for model in (low, dit))
    assert velocity.dtype == torch.float32
    assert (velocity - expected).norm() / expected.norm() < 0.02


@pytest.mark.parametrize("config", [I2V, FLF2V], ids=lambda config: config.kind)
def test_every_parameter_learns(config) -> None:
    model = randomise(WanDiT(config))
    latents, prompt, conditioning = _sample(config, batch=2)
    model(latents, torch.tensor([10.0, 800.5]), prompt, conditioning).square().mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_inputs_of_another_kind_are_a_bug_of_the_caller(dit) -> None:
    latents, prompt, conditioning = _sample(dit.config)
    timestep = torch.tensor([1])
    for wrong in (
        DiTConditioning(),
        dataclasses.replace(conditioning, image_embeds=None),
        dataclasses.replace(conditioning, vace_latents=latents),
    ):
        with pytest.raises(AssertionError, match=f"a {dit.config.kind} model reads"):
            dit(latents, timestep, prompt, wrong)
