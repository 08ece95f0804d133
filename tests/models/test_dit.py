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


@torch.no_grad()
def test_batch_of_different_timesteps_equals_single_samples(dit) -> None:
    latents, prompt = _sample(batch=3)
    timestep = torch.tensor([999, 400, 3])
    single = [dit(latents[i : i + 1], timestep[i : i + 1], prompt[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(dit(latents, timestep, prompt), torch.cat(single), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 7, 510, 511, 512])
@torch.no_grad()
def test_prompt_padded_by_the_caller_gives_the_same_velocity(dit, rows) -> None:
    latents, prompt = _sample(rows=rows)
    padded = torch.nn.functional.pad(prompt, (0, 0, 0, TINY.text_len - rows))
    timestep = torch.tensor([700])
    torch.testing.assert_close(
        dit(latents, timestep, prompt), dit(latents, timestep, padded), rtol=1e-5, atol=1e-5
    )


@torch.no_grad()
def test_bfloat16_weights_keep_float32_where_it_matters(dit) -> None:
    low = WanDiT(TINY)
    low.load_state_dict(dit.state_dict())
    for name, parameter in low.named_parameters():
        if not low.keep_in_fp32(name):
            parameter.data = parameter.data.bfloat16()
    kept = {name for name, parameter in low.named_parameters() if parameter.dtype == torch.float32}
    assert "head.head.weight" in kept and "time_projection.1.bias" in kept
    assert "blocks.0.modulation" in kept and "blocks.2.cross_attn.norm_k.weight" in kept
    assert "blocks.0.norm3.bias" in kept
    large = (".ffn.", "_attn.q.", "_attn.o.", "text_embedding.", "patch_embedding.")
    assert not any(part in name for name in kept for part in large)

    latents, prompt = _sample()
    timestep = torch.tensor([900])
    streams: list[torch.dtype] = []
    hooks = [block.register_forward_hook(lambda m, a, out: streams.append(out.dtype)) for block in low.blocks]
    velocity, expected = low(latents, timestep, prompt), dit(latents, timestep, prompt)
    for hook in hooks:
        hook.remove()
    assert streams == [torch.float32] * TINY.num_layers
    assert velocity.dtype == torch.float32
    assert (velocity - expected).norm() / expected.norm() < 0.02


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    model = WanDiT(TINY)
    model.init_weights()
    latents, prompt = _sample(batch=2)
    assert model(latents, torch.tensor([10.0, 800.5]), prompt).abs().max() == 0
    randomise(model)
    model(latents, torch.tensor([10.0, 800.5]), prompt).square().mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_table_made_in_inference_mode_serves_training() -> None:
    model = WanDiT(TINY)
    latents, prompt = _sample(grid=(2, 14, 2))
    with torch.inference_mode():
        model(latents, torch.tensor([1]), prompt)
    model(latents, torch.tensor([1]), prompt).sum().backward()
    assert model.blocks[0].self_attn.q.weight.grad is not None


@torch.no_grad()
def test_the_three_stages_compose_to_the_whole(dit) -> None:
    latents, prompt = _sample()
    timestep = torch.tensor([123])
    tokens, context = dit.embed(latents, timestep, prompt)
    assert tokens.shape == (1, 3 * 3 * 5, TINY.dim) and context.grid == (3, 3, 5)
    velocity = dit.unembed(dit.run_blocks(tokens, context), context)
    assert torch.equal(velocity, dit(latents, timestep, prompt))
