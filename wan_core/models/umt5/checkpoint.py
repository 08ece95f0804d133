"""Official umT5 tensor names, the library's, and the sizes that shapes tell. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from wan_core.models.umt5.config import UMT5Config
from wan_core.schema.errors import WeightsError

Value = TypeVar("Value")  # a tensor, or its shape

_TOKEN_TABLE = "token_embedding.weight"
_TOKEN_TABLE_TWIN = "encoder.embed_tokens.weight"

# official -> transformers, outside the blocks
_ENDS = {
    _TOKEN_TABLE: "shared.weight",
    "norm.weight": "encoder.final_layer_norm.weight",
}
# official "blocks.N." + left -> transformers "encoder.block.N." + right
_BLOCK = {
    "norm1.weight": "layer.0.layer_norm.weight",
    "attn.q.weight": "layer.0.SelfAttention.q.weight",
    "attn.k.weight": "layer.0.SelfAttention.k.weight",
    "attn.v.weight": "layer.0.SelfAttention.v.weight",
    "attn.o.weight": "layer.0.SelfAttention.o.weight",
    "pos_embedding.embedding.weight": "layer.0.SelfAttention.relative_attention_bias.weight",
    "norm2.weight": "layer.1.layer_norm.weight",
    "ffn.gate.0.weight": "layer.1.DenseReluDense.wi_0.weight",
    "ffn.fc1.weight": "layer.1.DenseReluDense.wi_1.weight",
    "ffn.fc2.weight": "layer.1.DenseReluDense.wo.weight",
}
_BLOCK_BACK = {theirs: ours for ours, theirs in _BLOCK.items()}
_ENDS_BACK = {theirs: ours for ours, theirs in _ENDS.items()} | {_TOKEN_TABLE_TWIN: _TOKEN_TABLE}


def is_umt5(shapes: Mapping[str, Sequence[int]]) -> bool:
    """Whether these tensors are an official umT5 encoder's, by its tell-tale keys."""
    return _TOKEN_TABLE in shapes and "blocks.0.pos_embedding.embedding.weight" in shapes


def to_transformers_keys(state: Mapping[str, Value]) -> dict[str, Value]:
    """Official names -> the names of transformers' ``UMT5EncoderModel``.

    The token table appears under both of its names, as the same object. Unknown names pass through,
    for a strict load to report.
    """
    renamed = {
        _ENDS.get(name) or _rename_block(name, "blocks.", "encoder.block.", _BLOCK): value
        for name, value in state.items()
    }
    if _TOKEN_TABLE in state:
        renamed[_TOKEN_TABLE_TWIN] = state[_TOKEN_TABLE]
    return renamed


def to_official_keys(state: Mapping[str, Value]) -> dict[str, Value]:
    """The names of transformers' ``UMT5EncoderModel`` -> official names."""
    return {official_name(name): value for name, value in state.items() if name != _TOKEN_TABLE_TWIN}


def official_name(name: str) -> str:
    """The official name of what transformers calls ``name``; unknown names pass."""
    return _ENDS_BACK.get(name) or _rename_block(name, "encoder.block.", "blocks.", _BLOCK_BACK)


def _rename_block(name: str, old: str, new: str, table: Mapping[str, str]) -> str:
    number, _, rest = name.removeprefix(old).partition(".")
    return f"{new}{number}.{table[rest]}" if name.startswith(old) and rest in table else name


def infer_config(shapes: Mapping[str, Sequence[int]]) -> UMT5Config:
    """Sizes from the official names and shapes of a umT5 encoder's tensors (spec 4).

    Raises:
        WeightsError: the tensors are no umT5 encoder's.
    """
    if not is_umt5(shapes):
        raise WeightsError(
            f"These {len(shapes)} tensors are no Wan text encoder: token_embedding or "
            "blocks.0.pos_embedding is missing. Choose models_t5_umt5-xxl-enc-bf16."
        )
    try:
        dim_attn, dim = shapes["blocks.0.attn.q.weight"]
        num_buckets, num_heads = shapes["blocks.0.pos_embedding.embedding.weight"]
        return UMT5Config(
            vocab_size=shapes[_TOKEN_TABLE][0],
            dim=dim,
            dim_attn=dim_attn,
            dim_ffn=shapes["blocks.0.ffn.fc1.weight"][0],
            num_heads=num_heads,
            num_layers=len({name.split(".")[1] for name in shapes if name.startswith("blocks.")}),
            num_buckets=num_buckets,
        )
    except KeyError as error:
        raise WeightsError(
            f"The text encoder is incomplete: {error.args[0]} is missing. Download its file again."
        ) from error
    except (ValueError, IndexError) as error:
        raise WeightsError(
            "The text encoder is damaged: a tensor has an impossible shape. Download its file again."
        ) from error
