"""The text encoder against the formulas of spec 4, written out in float64 over official names."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.models.randomise import randomise
from wan_core.models.umt5.checkpoint import infer_config, to_official_keys, to_transformers_keys
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.umt5.model import build_encoder

TINY = UMT5Config(vocab_size=50, dim=24, dim_attn=32, dim_ffn=40, num_heads=4, num_layers=3)

Weights = dict[str, np.ndarray]


def _bucket(relative: int) -> int:
    distance, side = abs(relative), 16 if relative > 0 else 0
    if distance < 8:
        return side + distance
    return side + min(8 + math.floor(8 * math.log(distance / 8) / math.log(16)), 15)


def _rms(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * weight


def _self_attention(x: np.ndarray, weights: Weights, prefix: str) -> np.ndarray:
    length = len(x)
    table = weights[f"{prefix}.pos_embedding.embedding.weight"]
    buckets = [[_bucket(key - query) for key in range(length)] for query in range(length)]
    q, k, v = (
        (x @ weights[f"{prefix}.attn.{name}.weight"].T).reshape(length, TINY.num_heads, -1) for name in "qkv"
    )
    logits = np.einsum("qhd,khd->hqk", q, k) + table[buckets].transpose(2, 0, 1)
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    mixed = np.einsum("hqk,khd->qhd", powers / powers.sum(-1, keepdims=True), v)
    return mixed.reshape(length, -1) @ weights[f"{prefix}.attn.o.weight"].T


def _feed_forward(x: np.ndarray, weights: Weights, prefix: str) -> np.ndarray:
    gate = x @ weights[f"{prefix}.ffn.gate.0.weight"].T
    gate = 0.5 * gate * (1 + np.tanh(math.sqrt(2 / math.pi) * (gate + 0.044715 * gate**3)))
    return ((x @ weights[f"{prefix}.ffn.fc1.weight"].T) * gate) @ weights[f"{prefix}.ffn.fc2.weight"].T


def _reference(ids: list[int], weights: Weights) -> np.ndarray:
    x = weights["token_embedding.weight"][ids]
    for layer in range(TINY.num_layers):
        prefix = f"blocks.{layer}"
        x = x + _self_attention(_rms(x, weights[f"{prefix}.norm1.weight"]), weights, prefix)
        x = x + _feed_forward(_rms(x, weights[f"{prefix}.norm2.weight"]), weights, prefix)
    return _rms(x, weights["norm.weight"])


@pytest.fixture(scope="module")
def encoder() -> torch.nn.Module:
    return randomise(build_encoder(TINY)).eval()


@pytest.mark.parametrize("length", [1, 9, 150])
@torch.no_grad()
def test_encoder_equals_the_formulas(encoder, length: int) -> None:
    ids = np.random.default_rng(length).integers(2, TINY.vocab_size, length).tolist()
    weights = {name: t.double().numpy() for name, t in to_official_keys(encoder.state_dict()).items()}
    expected = torch.from_numpy(_reference(ids, weights)).float()
    embeds = encoder(torch.tensor([ids])).last_hidden_state[0]
    assert expected.std() > 0.1
    torch.testing.assert_close(embeds, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_unpadded_run_equals_the_padded_one(encoder) -> None:
    ids = torch.randint(2, TINY.vocab_size, (1, 13), generator=torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(ids, (0, 512 - 13))
    mask = (padded != 0).long()
    torch.testing.assert_close(
        encoder(padded, attention_mask=mask).last_hidden_state[:, :13],
        encoder(ids).last_hidden_state,
        rtol=1e-5,
        atol=1e-5,
    )


def test_official_state_is_assigned_and_the_token_table_stays_one(encoder) -> None:
    official = to_official_keys(encoder.state_dict())
    assert infer_config({name: tensor.shape for name, tensor in official.items()}) == TINY
    with torch.device("meta"):
        fresh = build_encoder(TINY)
    fresh.load_state_dict(to_transformers_keys(official), strict=True, assign=True)
    assert fresh.shared.weight is fresh.encoder.embed_tokens.weight
    assert fresh.shared.weight.data_ptr() == official["token_embedding.weight"].data_ptr()
    fresh.to(torch.bfloat16)
    assert fresh.shared.weight is fresh.encoder.embed_tokens.weight
    assert {parameter.dtype for parameter in fresh.parameters()} == {torch.bfloat16}
    assert not [name for name, tensor in fresh.named_buffers() if tensor.is_meta]


@torch.no_grad()
def test_bfloat16_encoder_stays_close(encoder) -> None:
    low = build_encoder(TINY)
    low.load_state_dict(encoder.state_dict())
    ids = torch.arange(2, 30)[None]
    expected = encoder(ids).last_hidden_state
    embeds = low.bfloat16().eval()(ids).last_hidden_state
    assert embeds.dtype == torch.bfloat16
    assert (embeds - expected).norm() / expected.norm() < 0.03


def test_every_parameter_learns() -> None:
    model = randomise(build_encoder(TINY)).train()
    model(torch.arange(2, 40)[None]).last_hidden_state.square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
