"""What a DiT of every kind promises, whatever it reads."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.models.dit_kinds import KINDS, one_of, only, sample
from tests.models.randomise import randomise
from wan_core.models.dit.checkpoint import describe, find_kind, infer_config
from wan_core.models.dit.conditioning import DiTConditioning, read_by
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT

STEP = torch.tensor([700.0])

IN_FLOAT32 = ("modulation", "norm", "time_", "head.", "emb_pos", "img_emb.proj.0.", "img_emb.proj.4.")


@pytest.fixture(scope="module", params=KINDS)
def dit(request: pytest.FixtureRequest) -> WanDiT:
    return randomise(WanDiT(KINDS[request.param])).eval()


def test_shapes_tell_the_whole_config(dit) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in dit.state_dict().items()}
    config = dit.config
    layers = config.vace_layers or None
    assert infer_config(shapes, num_heads=config.num_heads, vace_layers=layers) == config
    assert find_kind(shapes) == config.kind
    assert describe(shapes).startswith(f"Wan {config.kind} transformer")


@torch.no_grad()
def test_batch_equals_single_samples(dit) -> None:
    latents, prompt, given = sample(dit.config, batch=2)
    timestep = torch.tensor([999, 3])
    single = [
        dit(latents[i : i + 1], timestep[i : i + 1], prompt[i : i + 1], one_of(given, i)) for i in range(2)
    ]
    velocity = dit(latents, timestep, prompt, given)
    assert velocity.shape == latents.shape
    torch.testing.assert_close(velocity, torch.cat(single), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_everything_given_is_read_and_left_as_it_was(dit) -> None:
    latents, prompt, given = sample(dit.config)
    before = {name: getattr(given, name).clone() for name in read_by(dit.config)}
    velocity = dit(latents, STEP, prompt, given)
    assert torch.equal(velocity, dit(latents, STEP, prompt, given))
    for name, tensor in before.items():
        assert torch.equal(getattr(given, name), tensor)
        changed = dataclasses.replace(given, **{name: tensor.flip(-1)})
        assert (dit(latents, STEP, prompt, changed) - velocity).abs().max() > 1e-3, name


@torch.no_grad()
def test_what_is_optional_may_be_absent_and_what_is_required_may_not(dit) -> None:
    latents, prompt, given = sample(dit.config)
    for name, need in read_by(dit.config).items():
        without = dataclasses.replace(given, **{name: None})
        if need == "optional":
            assert dit(latents, STEP, prompt, without).shape == latents.shape
        else:
            with pytest.raises(AssertionError, match=rf"a {dit.config.kind} model reads .*'{name}'"):
                dit(latents, STEP, prompt, without)


@torch.no_grad()
def test_what_the_model_does_not_read_is_a_bug_of_the_caller(dit) -> None:
    latents, prompt, given = sample(dit.config)
    names = {field.name for field in dataclasses.fields(DiTConditioning)} - {"vace_scale", "adjustments"}
    for name in names - read_by(dit.config).keys():
        with pytest.raises(AssertionError, match=rf"a {dit.config.kind} model reads"):
            dit(latents, STEP, prompt, dataclasses.replace(given, **{name: latents}))


@torch.no_grad()
def test_other_shapes_dtypes_and_devices_are_a_bug_of_the_caller(dit) -> None:
    latents, prompt, given = sample(dit.config)
    for name in read_by(dit.config):
        tensor = getattr(given, name)
        for wrong, message in (
            (tensor.narrow(1, 0, tensor.shape[1] - 1), rf"^{name} is \("),
            (tensor[0], rf"^{name} is \("),
            (torch.cat([tensor, tensor]), rf"^{name} is \("),
            (tensor.half(), rf"^{name} is torch.float16 on cpu"),
            (tensor.to("meta"), rf"^{name} is torch.float32 on meta"),
        ):
            if name == "image_embeds" and wrong.shape[1] < tensor.shape[1] and not dit.config.image_positions:
                continue  # of one picture any number of rows will do
            with pytest.raises(AssertionError, match=message):
                dit(latents, STEP, prompt, dataclasses.replace(given, **{name: wrong}))


@torch.no_grad()
def test_bfloat16_weights_keep_float32_where_it_matters(dit) -> None:
    low = WanDiT(dit.config)
    low.load_state_dict(dit.state_dict())
    for name, parameter in low.named_parameters():
        if not low.keep_in_fp32(name):
            parameter.data = parameter.data.bfloat16()
    kept = {name for name, parameter in low.named_parameters() if parameter.dtype == torch.float32}
    assert kept == {name for name in dit.state_dict() if any(part in name for part in IN_FLOAT32)}
    latents, prompt, given = sample(dit.config)
    streams: list[torch.dtype] = []
    for block in (*low.blocks, *low.vace_blocks):
        block.register_forward_hook(lambda module, inputs, output: streams.append(output.dtype))
    velocity, expected = (model(latents, STEP, prompt, given) for model in (low, dit))
    assert streams == [torch.float32] * (dit.config.num_layers + len(dit.config.vace_layers))
    assert velocity.dtype == torch.float32
    assert (velocity - expected).norm() / expected.norm() < 0.02


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
def test_training_starts_from_zero_and_every_parameter_learns(config: DiTConfig) -> None:
    torch.manual_seed(0)
    model = WanDiT(config)
    model.init_weights()
    latents, prompt, given = sample(config, batch=2)
    timestep = torch.tensor([10.0, 800.5])
    assert model(latents, timestep, prompt, given).abs().max() == 0
    randomise(model)
    model(latents, timestep, prompt, given).square().mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@torch.no_grad()
def test_the_three_stages_compose_to_the_whole(dit) -> None:
    latents, prompt, given = sample(dit.config)
    tokens, context = dit.embed(latents, STEP, prompt, given)
    assert context.grid == (3, 3, 5)
    frames = 3 + (dit.config.reference_dim > 0) + given.appended
    assert tokens.shape == (1, frames * 3 * 5, dit.config.dim) and tokens.dtype == torch.float32
    velocity = dit.unembed(dit.run_blocks(tokens, context), context)
    assert torch.equal(velocity, dit(latents, STEP, prompt, given))


@torch.no_grad()
def test_a_vace_model_without_its_context_is_its_base() -> None:
    dit = randomise(WanDiT(KINDS["vace"])).eval()
    base = WanDiT(KINDS["t2v"]).eval()
    base.load_state_dict({k: v for k, v in dit.state_dict().items() if not k.startswith("vace_")})
    latents, prompt, given = sample(dit.config)
    motion = only(given, "motion")
    expected = base(latents, STEP, prompt, motion)
    assert torch.equal(dit(latents, STEP, prompt, motion), expected)
    assert torch.equal(dit(latents, STEP, prompt, dataclasses.replace(given, vace_scale=0.0)), expected)
