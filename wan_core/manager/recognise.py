"""Tells what a checkpoint's tensors belong to, from their names and shapes alone. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping

from wan_core.models.dit import checkpoint as dit_checkpoint
from wan_core.models.umt5 import checkpoint as umt5_checkpoint
from wan_core.models.vae import checkpoint as vae_checkpoint

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]


def looks_like(shapes: Shapes) -> str:
    """A phrase for what these tensors are, as far as their names tell."""
    if dit_checkpoint.find_kind(shapes):
        return f"a {dit_checkpoint.describe(shapes)}"
    if vae_checkpoint.is_vae(shapes):
        return f"a Wan VAE of width {shapes['encoder.conv1.weight'][0]}"
    if umt5_checkpoint.is_umt5(shapes):
        return f"a umT5 text encoder of width {shapes['token_embedding.weight'][-1]}"
    if dit_checkpoint.is_motion_controller(shapes):
        return "a motion controller"
    for mark, phrase in _OTHER_FILES:
        if any(mark in name for name in shapes):
            return phrase
    return f"an unknown model ({len(shapes)} tensors, the first is {next(iter(shapes), 'none')[:60]})"


# What occurs in a tensor's name -> what file it is in; the first that fits decides
_OTHER_FILES = (
    ("lora_", "a LoRA"),
    ("visual.transformer.", "a CLIP image encoder"),
    ("condition_embedder.", "a Wan transformer in the diffusers format"),
    ("model.diffusion_model.", "a Wan transformer repackaged for ComfyUI"),
    ("encoder.block.0.layer.0.SelfAttention", "a T5 encoder in the transformers format"),
    ("quant_conv.", "a VAE in the diffusers format"),
)
