"""Files of other makers load as what they are: against the makers' own classes, and name by name."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel, WanVACETransformer3DModel
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import UMT5EncoderModel

from tests.models.clip_oracle import build_oracle
from tests.models.dit_kinds import FLF2V, I2V, KINDS, T2V, VACE, only, sample
from tests.models.dit_oracle import fill_oracle, full_text, oracle_sizes, plain_oracle
from tests.models.randomise import randomise
from wan_core.manager.loading import load_image_encoder, load_text_encoder, load_transformer, load_vae
from wan_core.manager.recognise import official, read_entries, read_shapes
from wan_core.models.clip.config import CLIPConfig
from wan_core.models.clip.model import CLIPImageEncoder
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.checkpoint import to_official_keys
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.umt5.model import build_encoder
from wan_core.models.vae.config import LATENTS_MEAN, LATENTS_STD
from wan_core.schema import WeightsError
from wan_core.schema.dialect import Combine

MANIFESTS = Path(__file__).parent.parent / "data" / "manifests"
UMT5 = UMT5Config(vocab_size=40, dim=16, dim_attn=16, dim_ffn=24, num_heads=2, num_layers=2)
FILE = "diffusion_pytorch_model.safetensors"
SHAPES: Combine[tuple[int, ...]] = Combine(
    stack=lambda parts: (sum(part[0] for part in parts), *parts[0][1:]),
    lead=lambda shape, ones: (1,) * ones + shape,
)

State = dict[str, Tensor]


def weights(config: DiTConfig) -> tuple[WanDiT, State]:
    dit = randomise(WanDiT(config)).eval()
    return dit, {name: tensor.clone() for name, tensor in dit.state_dict().items()}


def write(folder: Path, name: str, state: State, heads: int = T2V.num_heads) -> Path:
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, folder / name)
    (folder / "config.json").write_text(json.dumps({"num_heads": heads}))
    return folder


def assert_same(model: nn.Module, expected: State) -> None:
    found = model.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


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


def prefixed(prefix: str) -> Callable[[State], State]:
    return lambda state: {prefix + name: tensor for name, tensor in state.items()}


def kijai_fp8(state: State) -> State:
    return {n: t.to(torch.float8_e4m3fn) if is_matrix(n, t) else t for n, t in state.items()}


MARK = bytearray(b'{"format": "float8_e4m3fn"}')


def scaled(scale: str, prefix: str = "", marker: bool = True) -> Callable[[State], State]:
    """fp8 with a scale for each matrix, the scale's name in the style of one maker."""

    def make(state: State) -> State:
        made: State = {f"{prefix}scaled_fp8": torch.zeros(2).to(torch.float8_e4m3fn)} if marker else {}
        for name, tensor in state.items():
            if is_matrix(name, tensor):
                layer = prefix + name.removesuffix(".weight")
                factor = tensor.abs().max() / 448
                made[prefix + name] = (tensor / factor).to(torch.float8_e4m3fn)
                made[f"{layer}.{scale}"] = factor
                if not marker:
                    made[f"{layer}.comfy_quant"] = torch.tensor(
                        [*b'{"format": "float8_e4m3fn"}'], dtype=torch.uint8
                    )
            else:
                made[prefix + name] = tensor
        return made

    return make


def is_matrix(name: str, tensor: Tensor) -> bool:
    return tensor.ndim == 2 and "blocks." in name and name.endswith(".weight")


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


# --- the text encoder -------------------------------------------------------------------------------------


def encoder_weights() -> tuple[UMT5EncoderModel, State]:
    model = randomise(build_encoder(UMT5)).eval()
    return model, dict(model.state_dict())


def llama_cpp(state: State) -> State:
    inside = {
        "layer.0.SelfAttention.relative_attention_bias": "attn_rel_b",
        "layer.0.layer_norm": "attn_norm",
        "layer.1.layer_norm": "ffn_norm",
        **{f"layer.0.SelfAttention.{letter}": f"attn_{letter}" for letter in "qkvo"},
        "layer.1.DenseReluDense.wi_0": "ffn_gate",
        "layer.1.DenseReluDense.wi_1": "ffn_up",
        "layer.1.DenseReluDense.wo": "ffn_down",
    }
    made = {}
    for name, tensor in state.items():
        for theirs, short in inside.items():
            name = name.replace(theirs, short)
        name = name.replace("encoder.block.", "enc.blk.").replace("shared.", "token_embd.")
        made[name.replace("encoder.final_layer_norm", "enc.output_norm")] = tensor
    return made


ENCODERS = {
    "official": to_official_keys,
    "transformers": lambda state: {n: t for n, t in state.items() if "embed_tokens" not in n},
    "transformers, other twin": lambda state: {n: t for n, t in state.items() if n != "shared.weight"},
    "ComfyUI": lambda state: {
        **{n: t for n, t in state.items() if "embed_tokens" not in n},
        "spiece_model": torch.zeros(9, dtype=torch.uint8),
    },
    "with its decoder": lambda state: {
        **{n: t for n, t in state.items() if "embed_tokens" not in n},
        "decoder.block.0.layer.0.layer_norm.weight": torch.ones(16),
        "lm_head.weight": torch.ones(40, 16),
    },
    "llama.cpp": lambda state: llama_cpp({n: t for n, t in state.items() if "embed_tokens" not in n}),
    "DiffSynth": lambda state: prefixed("pipe.text_encoder.")(to_official_keys(state)),
}


@pytest.mark.parametrize("dialect", ENCODERS)
def test_a_text_encoder_comes_back_exactly_from_every_dialect(tmp_path, dialect):
    _, state = encoder_weights()
    save_file(ENCODERS[dialect](state), tmp_path / "umt5.safetensors")
    assert_same(load_text_encoder(tmp_path, ["umt5.safetensors"], expected=UMT5), state)
    shapes = read_shapes(tmp_path, ["umt5.safetensors"])
    assert shapes == {name: tuple(tensor.shape) for name, tensor in to_official_keys(state).items()}


@torch.no_grad()
def test_a_text_encoder_saved_by_transformers_computes_the_same(tmp_path):
    model, _ = encoder_weights()
    model.save_pretrained(tmp_path)
    loaded = load_text_encoder(tmp_path, ["model.safetensors"])
    ids = torch.tensor([[3, 8, 1, 0]])
    assert torch.equal(loaded(ids).last_hidden_state, model(ids).last_hidden_state)


@torch.no_grad()
def test_the_scaled_text_encoder_of_comfyui_is_read(tmp_path):
    """Names of transformers, scales, a marker, a tokenizer, a table in fp8: others refuse this file."""
    model, state = encoder_weights()
    plain = {name: tensor for name, tensor in state.items() if "embed_tokens" not in name}
    file = scaled("scale_weight")({n.replace("encoder.block", "blocks"): t for n, t in plain.items()})
    file = {name.replace("blocks.", "encoder.block.", 1): tensor for name, tensor in file.items()}
    file["shared.weight"] = plain["shared.weight"].to(torch.float8_e4m3fn)
    file["spiece_model"] = torch.zeros(9, dtype=torch.uint8)
    save_file(file, tmp_path / "umt5_xxl_fp8_e4m3fn_scaled.safetensors")
    loaded = load_text_encoder(tmp_path, ["umt5_xxl_fp8_e4m3fn_scaled.safetensors"], torch.float32, UMT5)
    ids = torch.tensor([[3, 8, 1, 0]])
    expected, found = model(ids).last_hidden_state, loaded(ids).last_hidden_state
    assert (found - expected).norm() / expected.norm() < 0.15
    table = loaded.shared
    assert (table.scheme, table.packed.dtype, table.dtype) == ("fp8_e4m3", torch.uint8, torch.float32)
    assert torch.equal(table.packed, file["shared.weight"].view(torch.uint8))  # kept as it is in the file
    assert loaded.encoder.embed_tokens is table


# --- the image encoder and the VAE ------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "vision_model."])
@pytest.mark.parametrize("whole", [False, True])
@torch.no_grad()
def test_an_image_encoder_of_transformers_computes_the_same(tmp_path, prefix, whole):
    sizes = CLIPConfig(dim=32, dim_mlp=48, num_heads=4, num_layers=2, image_size=28)
    blocks = randomise(CLIPImageEncoder(dataclasses.replace(sizes, num_layers=3))).eval()
    file = {f"visual.{name}": tensor for name, tensor in blocks.state_dict().items()}
    file |= {"visual.post_norm.weight": torch.ones(32), "visual.post_norm.bias": torch.ones(32)}
    theirs = build_oracle(file, sizes)
    state = {prefix + name: tensor.contiguous() for name, tensor in theirs.state_dict().items()}
    if whole:
        state |= {"visual_projection.weight": torch.ones(8, 32), "logit_scale": torch.ones(())}
        state |= {f"{prefix}embeddings.position_ids": torch.arange(5)[None]}
        state |= {"text_model.final_layer_norm.weight": torch.ones(8)}
    save_file(state, tmp_path / "clip_vision_h.safetensors")
    loaded = load_image_encoder(tmp_path, ["clip_vision_h.safetensors"], expected=sizes)
    pixels = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    expected = theirs(pixels, output_hidden_states=True).hidden_states[-2]
    torch.testing.assert_close(loaded(pixels), expected, rtol=1e-5, atol=1e-5)
    assert read_shapes(tmp_path, ["clip_vision_h.safetensors"])[
        "visual.transformer.0.attn.to_qkv.weight"
    ] == (
        96,
        32,
    )


def test_every_name_of_the_full_image_encoder_is_known():
    manifest = json.loads((MANIFESTS / "clip-visual.json").read_text())
    theirs: dict[str, tuple[int, ...]] = {
        "vision_model.embeddings.class_embedding": (1280,),
        "vision_model.embeddings.position_embedding.weight": (257, 1280),
        "vision_model.embeddings.patch_embedding.weight": (1280, 3, 14, 14),
        "vision_model.pre_layrnorm.weight": (1280,),
        "vision_model.pre_layrnorm.bias": (1280,),
        "vision_model.post_layernorm.weight": (1280,),
        "vision_model.post_layernorm.bias": (1280,),
        "visual_projection.weight": (1024, 1280),
    }
    layers = {
        "layer_norm1": (1280,),
        "layer_norm2": (1280,),
        "mlp.fc1": (5120, 1280),
        "mlp.fc2": (1280, 5120),
    }
    layers |= {f"self_attn.{name}_proj": (1280, 1280) for name in ("q", "k", "v", "out")}
    for number in range(32):
        for name, shape in layers.items():
            theirs[f"vision_model.encoder.layers.{number}.{name}.weight"] = shape
            theirs[f"vision_model.encoder.layers.{number}.{name}.bias"] = shape[:1]
    found = official(theirs, SHAPES)
    assert found == {name: tuple(shape) for name, shape in manifest.items() if name != "visual.head"}


@torch.no_grad()
def test_a_vae_saved_by_diffusers_computes_the_same(tmp_path):
    torch.manual_seed(0)
    theirs = AutoencoderKLWan(base_dim=8, z_dim=16, attn_scales=[]).eval()
    for name, parameter in theirs.named_parameters():
        if name.endswith("gamma"):
            parameter.uniform_(0.5, 1.5)
    theirs.save_pretrained(tmp_path)
    loaded = load_vae(tmp_path, [FILE])
    clip = torch.randn(1, 3, 5, 32, 48).clamp(-1, 1)
    mean, std = (torch.tensor(values).view(1, -1, 1, 1, 1) for values in (LATENTS_MEAN, LATENTS_STD))
    expected = theirs.encode(clip).latent_dist.mean
    torch.testing.assert_close(loaded.encode(clip) * std + mean, expected, rtol=1e-5, atol=1e-5)
    frames = theirs.decode(expected).sample
    torch.testing.assert_close(loaded.decode((expected - mean) / std), frames, rtol=1e-5, atol=1e-5)


def test_every_name_of_the_full_vae_is_known(tmp_path):
    manifest = json.loads((MANIFESTS / "vae.json").read_text())
    with torch.device("meta"):
        model = AutoencoderKLWan()
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    expected = {name: tuple(shape) for name, shape in manifest.items()}
    assert official(shapes, SHAPES) == expected
    assert official({f"model.{name}": shape for name, shape in expected.items()}, SHAPES) == expected


def test_a_vae_under_the_name_of_a_trainer_is_unwrapped(tmp_path):
    torch.manual_seed(0)
    theirs = AutoencoderKLWan(base_dim=4, z_dim=16, attn_scales=[])
    torch.save({"model_state": theirs.state_dict()}, tmp_path / "vae.pth")
    loaded = load_vae(tmp_path, ["vae.pth"])
    assert torch.equal(loaded.conv1.weight, theirs.quant_conv.weight)
    assert len(read_shapes(tmp_path, ["vae.pth"])) == len(theirs.state_dict())
