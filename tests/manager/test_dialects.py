"""Files of other makers load as what they are: against the makers' own classes, and name by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel, WanVACETransformer3DModel
from safetensors.torch import save_file
from torch import nn

from tests.manager.dialect_files import (
    FILE,
    MANIFESTS,
    SHAPES,
    State,
    assert_same,
    is_matrix,
    prefixed,
    scaled,
)
from tests.models.dit_kinds import FLF2V, I2V, KINDS, T2V, VACE, only, sample
from tests.models.dit_oracle import fill_oracle, full_text, oracle_sizes, plain_oracle
from tests.models.randomise import randomise
from wan_core.manager.loading import load_transformer
from wan_core.manager.recognise import official, read_entries, read_shapes
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.schema import WeightsError


def weights(config: DiTConfig) -> tuple[WanDiT, State]:
    dit = randomise(WanDiT(config)).eval()
    return dit, {name: tensor.clone() for name, tensor in dit.state_dict().items()}


def write(folder: Path, name: str, state: State, heads: int = T2V.num_heads) -> Path:
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, folder / name)
    (folder / "config.json").write_text(json.dumps({"num_heads": heads}))
    return folder


# --- the transformer, diffusers --------------------------------------------------------------------------


def diffusers_model(dit: WanDiT) -> nn.Module:
    if not dit.config.vace_layers:
        return plain_oracle(dit)
    sizes = {"vace_in_channels": dit.config.vace_in_dim, "vace_layers": list(dit.config.vace_layers)}
    return fill_oracle(WanVACETransformer3DModel(**oracle_sizes(dit.config), **sizes), dit.state_dict())


@pytest.mark.parametrize("config", [T2V, I2V, FLF2V, VACE], ids=lambda config: config.kind)
@pytest.mark.parametrize("shard", ["1GB", "40KB"])
@torch.no_grad()
def test_a_transformer_saved_by_diffusers_computes_the_same(tmp_path, config, shard):
    dit, state = weights(config)
    theirs = diffusers_model(dit)
    theirs.save_pretrained(tmp_path, max_shard_size=shard)
    name = FILE if shard == "1GB" else f"{FILE}.index.json"
    loaded = load_transformer(tmp_path, [name])
    assert loaded.config == config
    assert_same(loaded, state)
    latents, prompt, given = sample(config)
    given = only(given, "channel_latents", "image_embeds", "vace_latents")  # all that diffusers knows
    step = torch.tensor([500])
    extra = {}
    if config.vace_layers:
        extra = {"control_hidden_states": given.vace_latents}
    elif config.image_dim:
        images = given.image_embeds
        pair = images.unflatten(1, (2, -1)).flatten(0, 1) if config.image_positions else images
        latents_in = torch.cat([latents, given.channel_latents], 1)
        extra = {"encoder_hidden_states_image": pair}
    expected = theirs(
        latents_in if config.image_dim else latents, step, full_text(config, prompt), **extra
    ).sample
    assert expected.abs().mean() > 0.1
    torch.testing.assert_close(loaded(latents, step, prompt, given), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["t2v-1.3B", "t2v-14B", "i2v-14B", "flf2v-14B", "vace-1.3B", "vace-14B"])
def test_every_name_and_shape_of_a_full_size_model_of_diffusers_is_known(name):
    manifest = {
        key: tuple(shape) for key, shape in json.loads((MANIFESTS / f"{name}.json").read_text()).items()
    }
    large = "14B" in name
    sizes = {"num_attention_heads": 40, "ffn_dim": 13824, "num_layers": 40} if large else {
        "num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30,
    }  # fmt: skip
    kind = name.partition("-")[0]
    if kind in ("i2v", "flf2v"):
        sizes |= {"in_channels": 36, "image_dim": 1280, "added_kv_proj_dim": 5120}
        sizes |= {"pos_embed_seq_len": 514} if kind == "flf2v" else {}
    if kind == "vace":
        sizes |= {"vace_layers": list(range(0, 40, 5) if large else range(0, 30, 2)), "vace_in_channels": 96}
    with torch.device("meta"):
        model = (WanVACETransformer3DModel if kind == "vace" else WanTransformer3DModel)(**sizes)
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    assert official(shapes, SHAPES) == manifest
    early = {"blocks.0.attn2.norm_added_q.weight": (5120,)}
    assert official(shapes | early, SHAPES) == manifest


# --- the transformer, every kind, every other dialect -----------------------------------------------------


def kijai_fp8(state: State) -> State:
    return {n: t.to(torch.float8_e4m3fn) if is_matrix(n, t) else t for n, t in state.items()}


EXACT = {
    "official": dict,
    "ComfyUI": prefixed("model.diffusion_model."),
    "ComfyUI, newer": prefixed("diffusion_model."),
    "DiffSynth, trained": prefixed("pipe.dit."),
    "a trainer": prefixed("module."),
}
ROUGH = {
    "Kijai fp8": kijai_fp8,
    "Kijai fp8 scaled": scaled("scale_weight"),
    "ComfyUI fp8 scaled": scaled("scale_weight", "model.diffusion_model."),
    "ComfyUI quantised": scaled("weight_scale", marker=False),
}


@pytest.mark.parametrize("dialect", EXACT)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_back_exactly_from_every_dialect(tmp_path, kind, dialect):
    _, state = weights(KINDS[kind])
    write(tmp_path, FILE, EXACT[dialect](state))
    loaded = load_transformer(tmp_path, [FILE], expected=KINDS[kind])
    assert_same(loaded, state)
    assert read_shapes(tmp_path, [FILE]) == {name: tuple(tensor.shape) for name, tensor in state.items()}


@pytest.mark.parametrize("dialect", ROUGH)
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_every_kind_runs_from_fp8_files_as_their_numbers_say(tmp_path, kind, dialect):
    dit, state = weights(KINDS[kind])
    written = ROUGH[dialect](state)
    write(tmp_path, FILE, written)
    loaded = load_transformer(tmp_path, [FILE], torch.float32, KINDS[kind])
    for name, tensor in state.items():
        if is_matrix(name, tensor):
            factor = tensor.abs().max() / 448 if "scale" in dialect or "quant" in dialect else 1
            state[name] = (tensor / factor).to(torch.float8_e4m3fn).float() * factor
    dit.load_state_dict(state)
    inputs = sample(KINDS[kind])
    step = torch.tensor([500])
    expected = dit(inputs[0], step, *inputs[1:])
    torch.testing.assert_close(loaded(inputs[0], step, *inputs[1:]), expected, rtol=1e-5, atol=1e-5)
    sizes = {name: entry.nbytes for name, entry in read_entries(tmp_path, [FILE]).items()}
    assert sizes["blocks.0.ffn.0.weight"] == state["blocks.0.ffn.0.weight"].numel()


@pytest.mark.parametrize("base", ["official", "ComfyUI", "Kijai fp8 scaled"])
@pytest.mark.parametrize("module", ["official", "ComfyUI"])
@torch.no_grad()
def test_a_vace_module_is_joined_to_its_transformer(tmp_path, base, module):
    dit, state = weights(VACE)
    branch = {name: tensor for name, tensor in state.items() if name.startswith("vace_")}
    trunk = {name: tensor for name, tensor in state.items() if name not in branch}
    write(tmp_path, "t2v.safetensors", (EXACT | ROUGH)[base](trunk))
    save_file(EXACT[module](branch), tmp_path / "module.safetensors")
    loaded = load_transformer(tmp_path, ["t2v.safetensors", "module.safetensors"], torch.float32, VACE)
    if base == "Kijai fp8 scaled":
        latents, prompt, given = sample(VACE)
        found, expected = (model(latents, torch.tensor([500]), prompt, given) for model in (loaded, dit))
        assert (found - expected).norm() / expected.norm() < 0.1
    else:
        assert_same(loaded, state)
    with pytest.raises(WeightsError, match="a VACE module, which needs the transformer"):
        load_transformer(tmp_path, ["module.safetensors"])
    with pytest.raises(WeightsError, match="Two files hold"):
        load_transformer(tmp_path, ["module.safetensors", str(tmp_path / "module.safetensors")])


def test_a_list_of_shards_without_an_index_is_one_checkpoint(tmp_path):
    dit, state = weights(I2V)
    diffusers_model(dit).save_pretrained(tmp_path, max_shard_size="40KB")
    (tmp_path / f"{FILE}.index.json").unlink()
    shards = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert len(shards) > 2
    assert_same(load_transformer(tmp_path, shards), state)


def test_nvfp4_is_refused_by_name(tmp_path):
    _, state = weights(T2V)
    write(tmp_path, FILE, state | {"blocks.0.ffn.0.weight_scale_2": torch.ones(())})
    with pytest.raises(WeightsError, match=r"weights in nvfp4, which the studio does not read; use"):
        load_transformer(tmp_path, [FILE])


def test_integers_of_unknown_meaning_are_no_weights(tmp_path):
    _, state = weights(T2V)
    packed = {"blocks.0.ffn.0.weight": torch.zeros(80, 48, dtype=torch.uint8)}
    write(tmp_path, FILE, state | packed)
    with pytest.raises(WeightsError, match=r"blocks\.0\.ffn\.0\.weight is kept as uint8, which is no format"):
        load_transformer(tmp_path, [FILE])
