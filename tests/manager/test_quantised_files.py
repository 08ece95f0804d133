"""Quantised files and schemes through the loaders: Comfy's scaled fp8, GGUF, and precision as a setting."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.gguf_packing import pack
from tests.manager.test_gguf_file import write_gguf
from tests.models.randomise import randomise
from wan_core.catalog import Role
from wan_core.manager.devices import choose_schemes
from wan_core.manager.loading import cast_bytes, load_text_encoder, load_transformer
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.checkpoint import to_official_keys
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.umt5.model import build_encoder
from wan_core.quantization.embedding import QuantEmbedding
from wan_core.quantization.linear import QuantLinear
from wan_core.quantization.prepare import is_block_matrix, is_quantisable
from wan_core.schema import Settings, WeightsError
from wan_core.schema.schemes import GGUF_SCHEMES

DIT = DiTConfig(dim=256, ffn_dim=512, num_heads=2, num_layers=1, text_dim=32)
UMT5 = UMT5Config(vocab_size=64, dim=64, dim_attn=64, dim_ffn=96, num_heads=4, num_layers=2)

# GGUF type -> relative error of the velocity, measured with this model and rounded up
GGUF_ERRORS = {
    "Q8_0": 0.008, "Q6_K": 0.03, "Q5_K": 0.05, "Q5_1": 0.05, "Q5_0": 0.06, "Q4_K": 0.11,
    "Q4_1": 0.12, "Q4_0": 0.12, "Q3_K": 0.19, "Q2_K": 0.45, "IQ4_NL": 0.12, "IQ4_XS": 0.12,
}  # fmt: skip


@pytest.fixture(scope="module")
def dit() -> WanDiT:
    return randomise(WanDiT(DIT), 0).eval()


@pytest.fixture(scope="module")
def umt5() -> nn.Module:
    return randomise(build_encoder(UMT5), 0).eval()


@torch.inference_mode()
def velocity(model: nn.Module) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(1, 16, 1, 4, 4, generator=generator)
    return model(latents, torch.tensor([700.0]), torch.randn(1, 3, 32, generator=generator))


@torch.inference_mode()
def embeds(model: nn.Module) -> Tensor:
    return model(torch.tensor([[3, 14, 15, 9, 26]])).last_hidden_state.float()


def relative(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


def scaled_fp8(state: Mapping[str, Tensor], matrices: set[str]) -> dict[str, Tensor]:
    """As ComfyUI repackages: e4m3 with one scale for each matrix."""
    packed = {"scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}
    for name, tensor in state.items():
        packed[name] = tensor.clone()
        if name in matrices:
            scale = tensor.abs().max() / 448
            packed[name] = (tensor / scale).to(torch.float8_e4m3fn)
            packed[name.removesuffix("weight") + "scale_weight"] = scale
    return packed


def gguf_of(path: Path, model: nn.Module, type_name: str, name: str, state: Mapping[str, Tensor]) -> Path:
    """A GGUF file of a state dict, its block matrices packed."""
    plain, packed, shapes = {}, {}, {}
    for key, tensor in state.items():
        if is_quantisable(model, key):
            packed[key] = (pack(tensor, type_name).packed.numpy(), type_name)
        elif tensor.ndim > 4:  # more than ggml has
            plain[key], shapes[key] = tensor.flatten(1).numpy(), tuple(tensor.shape)
        else:
            plain[key] = tensor.contiguous().numpy()
    return write_gguf(path / name, plain, packed, shapes)


def quantised(model: nn.Module) -> set[str]:
    return {module.scheme for module in model.modules() if isinstance(module, QuantLinear)}


def test_scaled_fp8_transformer_of_comfyui(tmp_path: Path, dit: WanDiT) -> None:
    state = dit.state_dict()
    matrices = {name for name in state if is_quantisable(dit, name)}
    file = {
        f"model.diffusion_model.{k}": v for k, v in scaled_fp8(state, matrices).items() if k != "scaled_fp8"
    }
    save_file({**file, "scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}, tmp_path / "a.safetensors")
    told = []
    model = load_transformer(
        tmp_path, ["a.safetensors"], torch.float32, None, lambda done, total: told.append((done, total))
    )
    assert quantised(model) == {"fp8_scaled"}
    assert sum(isinstance(m, QuantLinear) for m in model.modules()) == len(matrices)
    assert relative(velocity(model), velocity(dit)) < 0.03
    assert told[-1][0] == told[-1][1] > sum(t.nbytes for t in model.parameters())


def test_a_whole_file_in_fp8_keeps_only_its_matrices_so(tmp_path: Path, dit: WanDiT) -> None:
    save_file({k: v.to(torch.float8_e4m3fn) for k, v in dit.state_dict().items()}, tmp_path / "a.safetensors")
    model = load_transformer(tmp_path, ["a.safetensors"], torch.bfloat16)
    assert quantised(model) == {"fp8_e4m3"}
    assert model.head.head.weight.dtype == torch.float32
    assert model.patch_embedding.weight.dtype == model.blocks[0].self_attn.q.bias.dtype == torch.bfloat16
    assert velocity(model).isfinite().all()


def test_a_plain_precision_unpacks_the_file(tmp_path: Path, dit: WanDiT) -> None:
    save_file({k: v.to(torch.float8_e5m2) for k, v in dit.state_dict().items()}, tmp_path / "a.safetensors")
    model = load_transformer(tmp_path, ["a.safetensors"], torch.float32, scheme="fp32")
    assert quantised(model) == set()
    expected = dit.blocks[0].ffn[0].weight.to(torch.float8_e5m2).float()
    assert torch.equal(model.blocks[0].ffn[0].weight, expected)


@pytest.mark.parametrize("scheme", ["fp8_e4m3", "fp8_e5m2", "fp8_scaled", "int8"])
def test_a_plain_file_is_brought_to_a_scheme(tmp_path: Path, dit: WanDiT, scheme: str) -> None:
    save_file(dict(dit.state_dict()), tmp_path / "a.safetensors")
    model = load_transformer(tmp_path, ["a.safetensors"], torch.float32, scheme=scheme)
    assert quantised(model) == {scheme}
    assert 0 < relative(velocity(model), velocity(dit)) < 0.06


@pytest.mark.parametrize("type_name", GGUF_SCHEMES)
def test_gguf_transformer(tmp_path: Path, dit: WanDiT, type_name: str) -> None:
    gguf_of(tmp_path, dit, type_name, "a.gguf", dit.state_dict())
    model = load_transformer(tmp_path, ["a.gguf"], torch.float32, DIT)
    assert quantised(model) == {f"gguf_{type_name.lower()}"}
    error = relative(velocity(model), velocity(dit))
    assert GGUF_ERRORS[type_name] / 2 < error < GGUF_ERRORS[type_name]
    unpacked = load_transformer(tmp_path, ["a.gguf"], torch.float32, DIT, scheme="fp32")
    assert quantised(unpacked) == set()
    assert torch.equal(velocity(model), velocity(unpacked))


def test_scaled_fp8_text_encoder_with_the_keys_of_transformers(tmp_path: Path, umt5: nn.Module) -> None:
    state = {k: v for k, v in umt5.state_dict().items() if k != "encoder.embed_tokens.weight"}
    matrices = {name for name in state if is_quantisable(umt5, name)}
    save_file(scaled_fp8(state, matrices), tmp_path / "a.safetensors")
    encoder = load_text_encoder(tmp_path, ["a.safetensors"], None, UMT5)
    assert quantised(encoder) == {"fp8_scaled"}
    assert {p.dtype for p in encoder.parameters()} == {torch.bfloat16}
    assert encoder.encoder.embed_tokens is encoder.shared
    exact = load_text_encoder(tmp_path, ["a.safetensors"], torch.float32, UMT5)
    assert relative(embeds(exact), embeds(umt5)) < 0.09


def test_gguf_text_encoder_of_llama_cpp(tmp_path: Path, umt5: nn.Module) -> None:
    inside = {
        "layer.0.layer_norm": "attn_norm", "layer.0.SelfAttention.relative_attention_bias": "attn_rel_b",
        "layer.1.layer_norm": "ffn_norm", "layer.1.DenseReluDense.wi_0": "ffn_gate",
        "layer.1.DenseReluDense.wi_1": "ffn_up", "layer.1.DenseReluDense.wo": "ffn_down",
        **{f"layer.0.SelfAttention.{part}": f"attn_{part}" for part in "qkvo"},
    }  # fmt: skip
    packed, plain = {}, {}
    for name, tensor in umt5.state_dict().items():
        if name.startswith("encoder.block."):
            number, _, rest = name.removeprefix("encoder.block.").partition(".")
            theirs = f"enc.blk.{number}.{inside[rest.removesuffix('.weight')]}.weight"
            if is_quantisable(umt5, name):
                packed[theirs] = (pack(tensor, "Q8_0").packed.numpy(), "Q8_0")
            else:
                plain[theirs] = tensor.numpy()
    packed["token_embd.weight"] = (pack(umt5.shared.weight.detach(), "Q8_0").packed.numpy(), "Q8_0")
    plain["enc.output_norm.weight"] = umt5.encoder.final_layer_norm.weight.detach().numpy()
    write_gguf(tmp_path / "a.gguf", plain, packed, architecture="t5encoder")
    encoder = load_text_encoder(tmp_path, ["a.gguf"], torch.float32, UMT5)
    assert quantised(encoder) == {"gguf_q8_0"}
    assert relative(embeds(encoder), embeds(umt5)) < 0.02
    assert isinstance(encoder.shared, QuantEmbedding) and encoder.encoder.embed_tokens is encoder.shared
    assert nbytes(encoder) == cast_bytes(tmp_path, ["a.gguf"], torch.float32, lambda name: False)
    plain = load_text_encoder(tmp_path, ["a.gguf"], torch.float32, UMT5, scheme="fp32")
    assert plain.shared.weight.shape == (64, 64)
    assert torch.equal(embeds(plain), embeds(encoder))


def test_int8_text_encoder_from_the_official_file(tmp_path: Path, umt5: nn.Module) -> None:
    official = {k: v.clone().bfloat16() for k, v in to_official_keys(umt5.state_dict()).items()}
    torch.save(official, tmp_path / "a.pth")
    encoder = load_text_encoder(tmp_path, ["a.pth"], None, UMT5, scheme="int8")
    assert quantised(encoder) == {"int8"}
    assert {p.dtype for p in encoder.parameters()} == {torch.bfloat16}
    plain = load_text_encoder(tmp_path, ["a.pth"], None, UMT5)
    assert relative(embeds(encoder), embeds(plain)) < 0.05


def test_a_scale_that_does_not_fit_names_the_file(tmp_path: Path, dit: WanDiT) -> None:
    state = {k: v.clone() for k, v in dit.state_dict().items()}
    name = "blocks.0.ffn.0"
    state[f"{name}.weight"] = state[f"{name}.weight"].to(torch.float8_e4m3fn)
    state[f"{name}.scale_weight"] = torch.ones(3)
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match=r"a\.safetensors: .*3 scales for 512 rows"):
        load_transformer(tmp_path, ["a.safetensors"])


def test_packed_weights_stay_in_the_file(tmp_path: Path, dit: WanDiT) -> None:
    gguf_of(tmp_path, dit, "Q8_0", "a.gguf", dit.state_dict())
    model = load_transformer(tmp_path, ["a.gguf"], torch.float32)
    layers = [m for m in model.modules() if isinstance(m, QuantLinear)]
    assert len({layer.packed.untyped_storage().data_ptr() for layer in layers}) == 1
    assert np.prod(layers[0].packed.shape) == 256 * 256 // 32 * 34


def nbytes(model: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))


@pytest.mark.parametrize("scheme", [None, "bf16", "fp8_e4m3", "fp8_scaled", "int8"])
def test_bytes_are_known_from_the_header(tmp_path: Path, dit: WanDiT, umt5: nn.Module, scheme: str) -> None:
    state = dit.state_dict()
    matrices = {name for name in state if is_quantisable(dit, name)}
    save_file(dict(state), tmp_path / "plain.safetensors")
    save_file(scaled_fp8(state, matrices), tmp_path / "fp8.safetensors")
    gguf_of(tmp_path, dit, "Q4_K", "a.gguf", state)
    for file in ("plain.safetensors", "fp8.safetensors", "a.gguf"):
        known = cast_bytes(tmp_path, [file], torch.bfloat16, WanDiT.keep_in_fp32, scheme=scheme)
        loaded = load_transformer(tmp_path, [file], torch.bfloat16, scheme=scheme)
        spare = 4 * len(matrices) if (file, scheme) == ("fp8.safetensors", "bf16") else 0  # scales, not kept
        assert nbytes(loaded) == known - spare
    official = {k: v.clone().bfloat16() for k, v in to_official_keys(umt5.state_dict()).items()}
    torch.save(official, tmp_path / "a.pth")
    known = cast_bytes(tmp_path, ["a.pth"], None, lambda name: False, scheme=scheme)
    assert nbytes(load_text_encoder(tmp_path, ["a.pth"], None, UMT5, scheme=scheme)) == known


def test_a_name_and_a_shape_tell_which_matrices_are_quantised(dit: WanDiT, umt5: nn.Module) -> None:
    for model, rename in ((dit, dict), (umt5, to_official_keys)):
        found = {name for name, t in rename(model.state_dict()).items() if is_block_matrix(name, t.shape)}
        expected = {name: True for name in model.state_dict() if is_quantisable(model, name)}
        assert found == set(rename(expected))
        assert expected == {n: True for n, t in model.state_dict().items() if is_block_matrix(n, t.shape)}


def test_the_settings_choose_the_schemes() -> None:
    assert choose_schemes(Settings()) == {}
    assert choose_schemes(Settings(precision="fp8_scaled", text_encoder="cpu")) == {
        Role.TRANSFORMER: "fp8_scaled"
    }
    assert choose_schemes(Settings(precision="bf16", text_encoder="int8")) == {
        Role.TRANSFORMER: "bf16",
        Role.TEXT_ENCODER: "int8",
    }
