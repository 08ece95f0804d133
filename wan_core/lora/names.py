"""How LoRA files call the parts of a Wan transformer: a row per format. Imports no torch.

A name in a file is never taken apart at its underscores or dots to guess a part. The names that a part
would have in every format are spelled out from its official name, and looked up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """A format: what stands before a part's name, and how the name is spelled."""

    title: str
    prefix: str
    spell: Callable[[str], str]


_IN_BLOCK = {
    **{
        f"{ours}.{name}": f"{theirs}.{spelled}"
        for ours, theirs in (("self_attn", "attn1"), ("cross_attn", "attn2"))
        for name, spelled in (
            ("q", "to_q"),
            ("k", "to_k"),
            ("v", "to_v"),
            ("o", "to_out.0"),
            ("k_img", "add_k_proj"),
            ("v_img", "add_v_proj"),
            ("norm_q", "norm_q"),
            ("norm_k", "norm_k"),
            ("norm_k_img", "norm_added_k"),
        )
    },
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
    "norm3": "norm2",
    "modulation": "scale_shift_table",
    "before_proj": "proj_in",
    "after_proj": "proj_out",
}

_OUTSIDE = {
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "img_emb.proj.0": "condition_embedder.image_embedder.norm1",
    "img_emb.proj.1": "condition_embedder.image_embedder.ff.net.0.proj",
    "img_emb.proj.3": "condition_embedder.image_embedder.ff.net.2",
    "img_emb.proj.4": "condition_embedder.image_embedder.norm2",
    "img_emb.emb_pos": "condition_embedder.image_embedder.pos_embed",
    "head.head": "proj_out",
    "head.modulation": "scale_shift_table",
}

_BLOCK = re.compile(r"((?:vace_)?blocks\.\d+\.)(.+)")


def official(path: str) -> str:
    return path


def diffusers(path: str) -> str:
    """An official name as diffusers calls the same part; what it does not have keeps its name."""
    if match := _BLOCK.fullmatch(path):
        return match[1] + _IN_BLOCK.get(match[2], match[2])
    return _OUTSIDE.get(path, path)


def underscored(path: str) -> str:
    return path.replace(".", "_")


def underscored_diffusers(path: str) -> str:
    return underscored(diffusers(path))


DIALECTS = (
    Dialect("official names", "", official),
    Dialect("ComfyUI", "diffusion_model.", official),
    Dialect("ComfyUI", "model.diffusion_model.", official),
    Dialect("ComfyUI", "model.", official),
    Dialect("DiffSynth", "pipe.dit.", official),
    Dialect("DiffSynth", "dit.", official),
    Dialect("diffusers", "transformer.", diffusers),
    Dialect("diffusers", "", diffusers),
    Dialect("official names", "transformer.", official),
    Dialect("PEFT", "base_model.model.", official),
    Dialect("PEFT", "base_model.model.", diffusers),
    Dialect("PEFT", "base_model.model.transformer.", diffusers),
    Dialect("PEFT", "base_model.model.diffusion_model.", official),
    Dialect("kohya", "lora_unet_", underscored),
    Dialect("kohya", "lora_unet_", underscored_diffusers),
    Dialect("VideoX-Fun", "lora_unet__", underscored),
    Dialect("VideoX-Fun", "lora_unet__", underscored_diffusers),
    Dialect("LyCORIS", "lycoris_", underscored),
    Dialect("LyCORIS", "lycoris_", underscored_diffusers),
    Dialect("LyCORIS", "lycoris_transformer_", underscored_diffusers),
    Dialect("kohya", "lora_transformer_", underscored_diffusers),
    Dialect("kohya", "lora_transformer_", underscored),
)
"""The formats; where two spell a part alike, the first counts."""

# What stands behind a part's name -> what the tensor is
_KINDS = {
    "lora_A": "down",
    "lora_down": "down",
    "lora.down": "down",
    "lora_B": "up",
    "lora_up": "up",
    "lora.up": "up",
    "lora_mid": "mid",
    "alpha": "alpha",
    "dora_scale": "magnitude",
    "lora_magnitude_vector": "magnitude",
    "diff": "diff",
    "w_norm": "diff",
    "diff_b": "diff_b",
    "b_norm": "diff_b",
    "diff_m": "diff_m",
    "reshape_weight": "new_shape",
    **{word: word for word in ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2")},
    **{
        word: word
        for word in ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")
    },
    **{word: word for word in ("a1", "a2", "b1", "b2")},
}

# A part's name, what the tensor is, perhaps the name of an adapter, perhaps weight or bias
_KEY = re.compile(
    r"(?P<part>.+?)\.(?P<kind>"
    + "|".join(re.escape(word) for word in sorted(_KINDS, key=len, reverse=True))
    + r")(?:\.(?!weight$|bias$)[A-Za-z0-9_]+)?(?:\.(?P<end>weight|bias))?"
)
_LONGEST_KEY = 300


def read_key(key: str) -> tuple[str, str] | None:
    """A tensor's name -> the part's name as the file spells it, and what the tensor is; None: no LoRA's."""
    match = _KEY.fullmatch(key) if len(key) <= _LONGEST_KEY else None
    if match is None:
        return None
    kind = _KINDS[match["kind"]]
    if match["end"] == "bias":
        return (match["part"], "up_bias") if kind == "up" else None
    return match["part"], kind


def spellings(paths: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Every name that these parts can have in a file -> the title of its format, and the official name."""
    table: dict[str, tuple[str, str]] = {}
    known = list(paths)
    for dialect in DIALECTS:
        for path in known:
            table.setdefault(dialect.prefix + dialect.spell(path), (dialect.title, path))
    return table
