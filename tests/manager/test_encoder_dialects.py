"""Encoders and VAEs of other makers load as what they are: against the makers' own classes, name by name."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from diffusers import AutoencoderKLWan
from safetensors.torch import save_file
from transformers import UMT5EncoderModel

from tests.manager.dialect_files import (
    FILE,
    MANIFESTS,
    SHAPES,
    State,
    assert_same,
    prefixed,
    scaled,
)
from tests.models.clip_oracle import build_oracle
from tests.models.randomise import randomise
from wan_core.manager.loading import load_image_encoder, load_text_encoder, load_vae
from wan_core.manager.recognise import official, read_shapes
from wan_core.models.clip.config import CLIPConfig
from wan_core.models.clip.model import CLIPImageEncoder
from wan_core.models.umt5.checkpoint import to_official_keys
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.umt5.model import build_encoder
from wan_core.models.vae.config import LATENTS_MEAN, LATENTS_STD

UMT5 = UMT5Config(vocab_size=40, dim=16, dim_attn=16, dim_ffn=24, num_heads=2, num_layers=2)


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
