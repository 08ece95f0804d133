"""A small DiT of every kind, and everything that one reads."""

from __future__ import annotations

import dataclasses

import torch

from wan_core.models.dit.conditioning import DiTConditioning, read_by
from wan_core.models.dit.config import PIXELS_PER_CELL, DiTConfig

Grid = tuple[int, int, int]
GRID: Grid = (3, 6, 10)

T2V = DiTConfig(dim=48, ffn_dim=80, num_heads=3, num_layers=3, text_dim=20, freq_dim=32)
I2V = dataclasses.replace(T2V, in_dim=36, image_dim=28)
FLF2V = dataclasses.replace(I2V, image_positions=10)
VACE = dataclasses.replace(T2V, vace_in_dim=24, vace_layers=(0, 2))
CONTROL = dataclasses.replace(T2V, in_dim=48, image_dim=28)
REFERENCE = dataclasses.replace(CONTROL, reference_dim=16)
CAMERA = dataclasses.replace(T2V, in_dim=32, image_dim=28, camera_dim=6)
RECAM = dataclasses.replace(T2V, camera_path_dim=12)

KINDS = {
    "t2v": T2V,
    "i2v": I2V,
    "flf2v": FLF2V,
    "vace": VACE,
    "control": CONTROL,
    "control with reference": REFERENCE,
    "camera": CAMERA,
    "recam": RECAM,
}

Sample = tuple[torch.Tensor, torch.Tensor, DiTConditioning]


def sample(config: DiTConfig, batch: int = 1, grid: Grid = GRID, appended: int = 2) -> Sample:
    """Latents, a prompt, and all that a model of ``config`` can be given."""
    frames, height, width = grid
    pixels = (PIXELS_PER_CELL * height, PIXELS_PER_CELL * width)
    shapes = {
        "channel_latents": (config.in_dim - config.out_dim, *grid),
        "image_embeds": (config.image_positions or 5, config.image_dim),
        "vace_latents": (config.vace_in_dim, *grid),
        "reference_latents": (config.reference_dim, height, width),
        "frame_latents": (config.out_dim, frames if config.camera_path_dim else appended, height, width),
        "camera": (config.camera_dim, frames, *pixels),
        "camera_path": (frames, config.camera_path_dim),
        "motion": (6, config.dim),
    }
    noise = torch.Generator().manual_seed(5)
    latents = torch.randn(batch, config.out_dim, *grid, generator=noise)
    prompt = torch.randn(batch, 7, config.text_dim, generator=noise)
    given = {name: torch.randn(batch, *shapes[name], generator=noise) for name in sorted(read_by(config))}
    return latents, prompt, DiTConditioning(**given)


def only(conditioning: DiTConditioning, *names: str) -> DiTConditioning:
    """``conditioning`` without what is not among ``names``."""
    return DiTConditioning(**{name: getattr(conditioning, name) for name in names})


def one_of(conditioning: DiTConditioning, number: int) -> DiTConditioning:
    """What the sample ``number`` of a batch is given."""
    tensors = {
        field.name: tensor[number : number + 1]
        for field in dataclasses.fields(conditioning)
        if isinstance(tensor := getattr(conditioning, field.name), torch.Tensor)
    }
    return dataclasses.replace(conditioning, **tensors)
