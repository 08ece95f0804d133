"""diffusers' VAE with the weights of the tiny model."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKLWan

from tests import tiny
from tests.models.test_vae import _diffusers_key


def build_vae_oracle(folder: Path) -> AutoencoderKLWan:
    """The VAE in a folder that ``write_tiny_model`` wrote."""
    vae = AutoencoderKLWan(
        base_dim=tiny.VAE.dim,
        z_dim=16,
        dim_mult=list(tiny.VAE.dim_mult),
        num_res_blocks=tiny.VAE.num_res_blocks,
        attn_scales=[],
    ).eval()
    state = torch.load(folder / tiny.VAE_FILE)
    vae.load_state_dict({_diffusers_key(name): tensor for name, tensor in state.items()})
    return vae
