"""How LoRA files call the parts of a Wan transformer: a row per format. Imports no torch.

A name in a file is never taken apart at its underscores or dots to guess a part. The names that a part
would have in every format are spelled out from its official name, and looked up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wan_core.models.dit.dialects import DIFFUSERS_ENDS, DIFFUSERS_INSIDE


@dataclass(frozen=True)
class Dialect:
    """A format: what stands before a part's name, and how the name is spelled."""

    title: str
    prefix: str
    spell: Callable[[str], str]


# official -> diffusers, inside a block and outside
_IN_BLOCK = {official: theirs for theirs, official in DIFFUSERS_INSIDE.items() if official}
_OUTSIDE = {official: theirs for theirs, official in DIFFUSERS_ENDS.items() if official}

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
