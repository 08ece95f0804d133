"""What a LoRA was made for when it was made for another model, by the names in its file. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable

# What occurs in the tensors' names, words parted by dots or underscores alike -> what the LoRA is for; the
# first that fits decides. Special marks stand before what they share with other families.
_FAMILIES = (
    (r"down_blocks|up_blocks|mid_block|input_blocks|output_blocks", r"lora_te2_|text_encoder_2", "SDXL"),
    (r"(down|input|output)_blocks\.\d\.(attentions\.\d|1)\.transformer_blocks\.[2-9]", "", "SDXL"),
    (r"down_blocks|up_blocks|mid_block|input_blocks|output_blocks", "", "Stable Diffusion"),
    (r"individual_token_refiner|img_mlp\.fc1|double_blocks\.19\.", "", "HunyuanVideo"),
    (r"double_blocks\.", "", "Flux"),
    (r"single_transformer_blocks\.", r"context_embedder\.token_refiner", "HunyuanVideo"),
    (r"single_transformer_blocks\.", "", "Flux"),
    (r"joint_blocks\.", "", "Stable Diffusion 3"),
    (r"transformer_blocks\.\d+\.(img_mod|txt_mlp|img_mlp)", "", "Qwen-Image"),
    (r"transformer_blocks\.\d+\.attn\.add_[qkv]_proj", "", "Stable Diffusion 3 or Qwen-Image"),
    (r"transformer_blocks\.\d+\.attn1\.", "", "LTX-Video or CogVideoX"),
    (r"context_refiner\.|noise_refiner\.", "", "Lumina or Z-Image"),
    (r"prior_blocks|llm_adapter|text_model\.encoder|lora_te_", "", "a text encoder alone"),
)

# A layer that only Wan has under this name: files may hold others' parts besides, such as a text encoder's
_WAN = re.compile(
    r"(?:^|\.|(?<!transformer)_|(?<=^lora_transformer)_)(?:vace_)?blocks[._]\d+[._]"
    r"(?:(?:self|cross)_attn[._](?:[qkvo]|[kv]_img|norm_[qk])|ffn[._](?:0|2|net)|attn[12][._]to_(?:[qkv]|out))[._]",
    re.MULTILINE,
)


def foreign_family(names: Iterable[str]) -> str | None:
    """The family of models that tensors with these names belong to; None: Wan, or not known."""
    text = "\n".join(names)
    if _WAN.search(text):
        return None
    parted = re.sub(r"(?<=\d)_|_(?=\d)", ".", text)  # kohya parts numbers by underscores
    for mark, beside, family in _FAMILIES:
        if _occurs(mark, text, parted) and (not beside or _occurs(beside, text, parted)):
            return family
    return None


def _occurs(mark: str, text: str, parted: str) -> bool:
    loose = mark.replace(r"\.", r"[._]")
    return re.search(loose, text) is not None or re.search(loose, parted) is not None
