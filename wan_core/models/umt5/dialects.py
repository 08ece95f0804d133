"""The names that other makers give the tensors of the umT5 encoder. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Collection

from wan_core.models.umt5.checkpoint import official_name
from wan_core.schema.dialect import Dialect, Renamer, rename_by

_DECODER = ("decoder.", "lm_head.", "dec.", "output.")

# llama.cpp -> transformers
_GGUF_ENDS: dict[str, str | None] = {
    "token_embd": "shared",
    "enc.output_norm": "encoder.final_layer_norm",
}
_GGUF_BLOCK = re.compile(r"enc\.blk\.(\d{1,4})\.(.+)")
_GGUF_INSIDE: dict[str, str | None] = {
    "attn_norm": "layer.0.layer_norm",
    "attn_q": "layer.0.SelfAttention.q",
    "attn_k": "layer.0.SelfAttention.k",
    "attn_v": "layer.0.SelfAttention.v",
    "attn_o": "layer.0.SelfAttention.o",
    "attn_rel_b": "layer.0.SelfAttention.relative_attention_bias",
    "ffn_norm": "layer.1.layer_norm",
    "ffn_gate": "layer.1.DenseReluDense.wi_0",
    "ffn_up": "layer.1.DenseReluDense.wi_1",
    "ffn_down": "layer.1.DenseReluDense.wo",
}


def _from_transformers(names: Collection[str]) -> Renamer:
    """The token table may be there twice; the decoder of a whole umT5 is not read."""
    twin = "encoder.embed_tokens.weight" if "shared.weight" in names else None

    def rename(name: str) -> str | None:
        return None if name == twin or name.startswith(_DECODER) else official_name(name)

    return rename


def _from_llama_cpp(names: Collection[str]) -> Renamer:
    def rename(name: str) -> str | None:
        if name.startswith(_DECODER):
            return None
        block = _GGUF_BLOCK.fullmatch(name)
        if block is None:
            return official_name(rename_by(_GGUF_ENDS, name) or name)
        return official_name(f"encoder.block.{block[1]}.{rename_by(_GGUF_INSIDE, block[2])}")

    return rename


DIALECTS = (
    Dialect("transformers", ("encoder.block.0.layer.0.SelfAttention.q.weight",), _from_transformers),
    Dialect("llama.cpp", ("enc.blk.0.attn_q.weight",), _from_llama_cpp),
)
