"""The names that other makers give the tensors of the CLIP image encoder. Imports no torch.

transformers keeps queries, keys and values apart, and its learned vectors without dimensions of one.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from wan_core.schema.dialect import Combine, Dialect, Renamer, rename_by

_TOWER = "vision_model."
_OTHER_HALF = ("text_model.", "text_projection.", "logit_scale", "visual_projection.")
_LAYER = re.compile(r"encoder\.layers\.(\d{1,4})\.(.+)")
_ENDS: dict[str, str | None] = {
    "embeddings.class_embedding": "visual.cls_embedding",
    "embeddings.position_embedding.weight": "visual.pos_embedding",
    "embeddings.patch_embedding": "visual.patch_embedding",
    "pre_layrnorm": "visual.pre_norm",
    "post_layernorm": "visual.post_norm",
}
_INSIDE: dict[str, str | None] = {
    "layer_norm1": "norm1",
    "layer_norm2": "norm2",
    "self_attn.q_proj": "attn.q",
    "self_attn.k_proj": "attn.k",
    "self_attn.v_proj": "attn.v",
    "self_attn.out_proj": "attn.proj",
    "mlp.fc1": "mlp.0",
    "mlp.fc2": "mlp.2",
}
_PART_OF_QKV = re.compile(r"(visual\.transformer\.\d{1,4}\.attn)\.([qkv])\.(weight|bias)")
_LEARNED = {"visual.cls_embedding": 2, "visual.pos_embedding": 1}


def _from_transformers(names: Collection[str]) -> Renamer:
    def rename(name: str) -> str | None:
        if name.startswith(_OTHER_HALF):
            return None
        short = name.removeprefix(_TOWER)
        layer = _LAYER.fullmatch(short)
        if layer is None:
            return rename_by(_ENDS, short)
        return f"visual.transformer.{layer[1]}.{rename_by(_INSIDE, layer[2])}"

    return rename


def _join_qkv(state: dict[str, Any], combine: Combine) -> dict[str, Any]:
    joined: dict[str, Any] = {}
    for name, value in state.items():
        part = _PART_OF_QKV.fullmatch(name)
        if part is None:
            joined[name] = combine.lead(value, _LEARNED[name]) if name in _LEARNED else value
            continue
        three = [f"{part[1]}.{letter}.{part[3]}" for letter in "qkv"]
        if not all(other in state for other in three):
            joined[name] = value
        elif part[2] == "q":
            joined[f"{part[1]}.to_qkv.{part[3]}"] = combine.stack([state[other] for other in three])
    return joined


_MARK = "encoder.layers.0.self_attn.q_proj.weight"
DIALECTS = (
    Dialect("transformers", (f"{_TOWER}{_MARK}",), _from_transformers, _join_qkv),
    Dialect("transformers", (_MARK, "pre_layrnorm.weight"), _from_transformers, _join_qkv),
)
