"""Tiny random models that see pictures or control videos, beside the tiny text-to-video one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from tests import tiny
from tests.models.randomise import randomise
from wan_core.catalog import ModelSpec, Role, TaskInputs, WeightFiles
from wan_core.models.clip.config import CLIPConfig
from wan_core.models.clip.model import CLIPImageEncoder
from wan_core.models.dit.config import DiTConfig
from wan_core.schema.request import Task

CLIP = CLIPConfig(dim=24, dim_mlp=48, num_heads=3, num_layers=2, image_size=28)
CLIP_FILE = "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth"

I2V = dataclasses.replace(tiny.DIT, in_dim=36, image_dim=CLIP.dim)
FLF2V = dataclasses.replace(I2V, image_positions=2 * CLIP.num_tokens)
CONTROL = dataclasses.replace(I2V, in_dim=48)
CONTROL_REFERENCE = dataclasses.replace(CONTROL, reference_dim=16)


def official_clip(seed: int = 3) -> dict[str, Tensor]:
    """A whole CLIP file under its official names: a block more than runs, a head, a text half."""
    whole = randomise(CLIPImageEncoder(dataclasses.replace(CLIP, num_layers=CLIP.num_layers + 1)), seed)
    rest = {"visual.post_norm.weight": CLIP.dim, "visual.post_norm.bias": CLIP.dim, "log_scale": 1}
    return {
        **{f"visual.{name}": tensor for name, tensor in whole.state_dict().items()},
        **{name: torch.full((size,), 0.5) for name, size in rest.items()},
        "textual.blocks.0.attn.q.weight": torch.ones(64, 64),
    }


def write_image_model(
    base: ModelSpec, folder: Path, dit: DiTConfig, inputs: Mapping[Task, TaskInputs], seed: int = 5
) -> ModelSpec:
    """Write a model of ``dit`` with a CLIP; what is neither it shares with ``base`` by links."""
    spec = tiny.write_variant(base, folder, dit, seed)
    torch.save(official_clip(), folder / CLIP_FILE)
    weights = {**base.weights, Role.IMAGE_ENCODER: WeightFiles((CLIP_FILE,), 0)}
    return dataclasses.replace(spec, inputs=inputs, image_encoder=CLIP, weights=weights)
