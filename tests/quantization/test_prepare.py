"""A tiny transformer and a tiny text encoder in every scheme: bytes, state dict, closeness."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from tests.models.randomise import randomise
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.umt5.model import build_encoder
from wan_core.quantization.embedding import QuantEmbedding
from wan_core.quantization.fp8_matmul import Fp8MatmulLinear
from wan_core.quantization.linear import QuantLinear
from wan_core.quantization.prepare import is_quantisable, prepare
from wan_core.quantization.stored import Loadable, StoredTensor, pair_scales, store
from wan_core.schema import WeightsError
from wan_core.schema.schemes import SCHEMES

DIT = DiTConfig(dim=64, ffn_dim=128, num_heads=4, num_layers=2, text_dim=32)
RECAM = DiTConfig(dim=64, ffn_dim=128, num_heads=4, num_layers=1, text_dim=32, camera_path_dim=12)
UMT5 = UMT5Config(vocab_size=64, dim=64, dim_attn=64, dim_ffn=96, num_heads=4, num_layers=2)

# Scheme -> relative error of the result in float32, measured with these models and rounded up
DIT_ERRORS = {"fp32": 0.0, "fp8_e4m3": 0.03, "fp8_e5m2": 0.06, "fp8_scaled": 0.035, "int8": 0.008}
UMT5_ERRORS = {"fp32": 0.0, "fp8_e4m3": 0.1, "fp8_e5m2": 0.2, "fp8_scaled": 0.08, "int8": 0.02}


def filled(model: nn.Module, tensors: Mapping[str, Loadable], scheme: str | None, dtype=None) -> nn.Module:
    """A copy of ``model`` on meta, prepared and filled as the loader does it."""
    empty = copy.deepcopy(model).to("meta")
    state: dict[str, Tensor] = {}
    for _, final in prepare(empty, tensors, scheme, lambda name: dtype):
        state |= final
    empty.load_state_dict(state, strict=True, assign=True)
    return empty.requires_grad_(False).eval()


def tiny_dit(config: DiTConfig = DIT) -> WanDiT:
    return randomise(WanDiT(config), 0).eval()


def tiny_umt5() -> nn.Module:
    return randomise(build_encoder(UMT5), 0).eval()


def velocity(model: nn.Module) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(1, 16, 2, 4, 4, generator=generator)
    prompt = torch.randn(1, 3, 32, generator=generator)
    with torch.inference_mode():
        return model(latents, torch.tensor([700.0]), prompt)


def embeds(model: nn.Module) -> Tensor:
    with torch.inference_mode():
        return model(torch.tensor([[3, 14, 15, 9, 26]])).last_hidden_state.float()


def relative(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


def matrices(model: nn.Module) -> set[str]:
    return {name for name in model.state_dict() if is_quantisable(model, name)}


def test_only_the_matrices_of_blocks_are_quantised() -> None:
    parts = ("self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "ffn.0", "ffn.2")
    parts += ("cross_attn.q", "cross_attn.k", "cross_attn.v", "cross_attn.o")
    assert matrices(tiny_dit()) == {f"blocks.{n}.{part}.weight" for n in (0, 1) for part in parts}
    assert matrices(tiny_dit(RECAM)) == {f"blocks.0.{part}.weight" for part in (*parts, "projector")}
    attention = tuple(f"layer.0.SelfAttention.{p}" for p in "qkvo")
    feeding = tuple(f"layer.1.DenseReluDense.{p}" for p in ("wi_0", "wi_1", "wo"))
    expected = {f"encoder.block.{n}.{p}.weight" for n in (0, 1) for p in attention + feeding}
    assert matrices(tiny_umt5()) == expected


@pytest.mark.parametrize("scheme", DIT_ERRORS)
def test_transformer_in_every_scheme(scheme: str) -> None:
    plain = tiny_dit()
    found = filled(plain, plain.state_dict(), scheme)
    error = relative(velocity(found), velocity(plain))
    assert DIT_ERRORS[scheme] / 2 <= error <= DIT_ERRORS[scheme]


@pytest.mark.parametrize("scheme", UMT5_ERRORS)
def test_text_encoder_in_every_scheme(scheme: str) -> None:
    plain = tiny_umt5()
    found = filled(plain, plain.state_dict(), scheme)
    error = relative(embeds(found), embeds(plain))
    assert UMT5_ERRORS[scheme] / 2 <= error <= UMT5_ERRORS[scheme]
    assert found.encoder.embed_tokens is found.shared


@pytest.mark.parametrize("make", [tiny_dit, tiny_umt5])
@pytest.mark.parametrize("scheme", ["fp8_e4m3", "fp8_scaled", "int8"])
def test_bytes_are_those_of_the_table(make, scheme: str) -> None:
    plain = make()
    state = plain.state_dict()
    found = filled(plain, state, scheme)
    large = matrices(plain)
    rest = {t.data_ptr(): t.nbytes for name, t in state.items() if name not in large}
    expected = sum(rest.values()) + sum(SCHEMES[scheme].nbytes(state[name].shape) for name in large)
    kept = {t.data_ptr(): t.nbytes for t in found.state_dict().values()}
    assert sum(kept.values()) == expected


@pytest.mark.parametrize("scheme", ["fp8_scaled", "int8"])
def test_state_dict_round_trip(scheme: str) -> None:
    plain = tiny_dit()
    one = filled(plain, plain.state_dict(), scheme)
    other = filled(plain, randomise(tiny_dit(), 5).state_dict(), scheme)
    assert not torch.equal(velocity(one), velocity(other))
    other.load_state_dict(one.state_dict(), strict=True)
    assert torch.equal(velocity(one), velocity(other))


def test_quantised_layers_keep_the_dtype_of_their_input() -> None:
    plain = tiny_umt5()
    found = filled(plain, plain.state_dict(), "int8", torch.bfloat16)
    assert {p.dtype for p in found.parameters()} == {torch.bfloat16}
    assert found(torch.tensor([[1, 2]])).last_hidden_state.dtype == torch.bfloat16


def test_a_weight_that_is_quantised_already_stays_as_it_is() -> None:
    plain = tiny_dit()
    state: dict[str, Loadable] = dict(plain.state_dict())
    state["blocks.0.ffn.0.weight"] = stored = store(state["blocks.0.ffn.0.weight"], "int8")
    for scheme in (None, "fp8_scaled"):
        layer = filled(plain, state, scheme).blocks[0].ffn[0]
        assert layer.packed is stored.packed
        assert type(layer) is QuantLinear
    assert isinstance(filled(plain, state, "fp8_scaled").blocks[0].ffn[2], Fp8MatmulLinear)


def test_a_plain_precision_unpacks_the_file() -> None:
    plain = tiny_dit()
    state: dict[str, Loadable] = dict(plain.state_dict())
    state["blocks.0.ffn.0.weight"] = stored = store(state["blocks.0.ffn.0.weight"], "int8")
    layer = filled(plain, state, "fp32", torch.float32).blocks[0].ffn[0]
    assert type(layer) is nn.Linear
    assert torch.equal(layer.weight, stored.unpack(torch.float32))


def test_layers_that_stay_high_are_unpacked_from_a_file_that_quantised_them() -> None:
    plain = tiny_dit()
    state: dict[str, Loadable] = dict(plain.state_dict())
    names = ("time_embedding.0.weight", "blocks.0.self_attn.norm_q.weight", "patch_embedding.bias")
    for name in names:
        state[name] = pair_scales({name: state[name].to(torch.float8_e4m3fn)})[name]
    found = filled(plain, state, None, torch.float32)
    for name in names:
        assert torch.equal(found.state_dict()[name], state[name].unpack(torch.float32))


def test_scales_join_their_tensors() -> None:
    weight = torch.randn(4, 16).to(torch.float8_e4m3fn)
    tensors = {"a.weight": weight, "a.weight_scale": torch.tensor(0.5), "a.bias": torch.ones(4)}
    paired = pair_scales(tensors)
    assert paired.keys() == {"a.weight", "a.bias"}
    stored = paired["a.weight"]
    assert (stored.scheme, stored.shape, stored.scale.tolist()) == ("fp8_scaled", (4, 16), [[0.5]])
    assert stored.packed.data_ptr() == weight.data_ptr()
    assert stored.nbytes == 4 * 16 + 4
    assert torch.equal(stored.unpack(torch.float32), weight.float() / 2)


def test_fp8_without_a_scale_is_storage_alone() -> None:
    weight = torch.randn(4, 16).to(torch.float8_e5m2)
    assert pair_scales({"a.weight": weight})["a.weight"].scheme == "fp8_e5m2"


def test_scaled_numbers_of_more_dimensions_keep_their_shape() -> None:
    weight = torch.randn(4, 2, 1, 2, 2).to(torch.float8_e4m3fn)
    paired = pair_scales({"p.weight": weight, "p.weight_scale": torch.full((4, 1), 2.0)})
    assert torch.equal(paired["p.weight"].unpack(torch.float32), weight.float() * 2)


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"a.weight_scale": torch.ones(1)}, "a.weight_scale scales a tensor that is not there"),
        (
            {"a.weight": torch.ones(4, 16).to(torch.float8_e4m3fn), "a.weight_scale": torch.ones(4, 2)},
            "a.weight has 8 scales for 4 rows",
        ),
        ({"a.weight": torch.ones(4, 16).to(torch.int8)}, "a.weight is int8 and has no scale"),
    ],
)
def test_scales_that_do_not_fit_are_refused(tensors, says: str) -> None:
    with pytest.raises(WeightsError, match=says):
        pair_scales(tensors)


def test_a_stored_tensor_says_what_it_is_unpacked_to() -> None:
    stored = store(torch.randn(4, 16), "int8")
    assert isinstance(stored, StoredTensor)
    assert (stored.dtype, stored.nbytes) == (torch.bfloat16, 4 * 16 + 4 * 4)


@pytest.mark.parametrize("scheme", ["int8", "fp8_scaled", "fp8_e5m2"])
def test_a_packed_table_gives_the_rows_that_are_asked_for(scheme: str) -> None:
    stored = store(torch.randn(20, 32), scheme)
    ids = torch.tensor([[3, 0, 19], [3, 7, 7]])
    found = QuantEmbedding(stored, torch.float32)(ids)
    assert torch.equal(found, stored.unpack(torch.float32)[ids])
    assert QuantEmbedding(stored, torch.bfloat16)(ids).dtype == torch.bfloat16


def test_a_table_with_two_names_is_one_module() -> None:
    plain = tiny_umt5()
    state: dict[str, Loadable] = dict(plain.state_dict())
    state["shared.weight"] = state["encoder.embed_tokens.weight"] = store(
        plain.shared.weight.detach(), "int8"
    )
    found = filled(plain, state, None, torch.float32)
    assert isinstance(found.shared, QuantEmbedding) and found.encoder.embed_tokens is found.shared
    assert relative(embeds(found), embeds(plain)) < 0.02
    assert isinstance(filled(plain, state, "fp32", torch.float32).shared, nn.Embedding)
