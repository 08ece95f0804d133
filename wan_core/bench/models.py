"""Models with random weights, as large as the real ones where it decides their speed."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.umt5.model import build_encoder
from wan_core.models.vae.config import VAEConfig
from wan_core.models.vae.model import WanVAE

DIT = DiTConfig(dim=1536, ffn_dim=8960, num_heads=12, num_layers=4)
"""The 1.3B model with four of its thirty blocks."""

UMT5 = UMT5Config(vocab_size=4096, num_layers=2)
"""The text encoder at its width, with two of its 24 blocks and a short token table."""

Model = TypeVar("Model", bound=nn.Module)


def filled(model: Model, seed: int) -> Model:
    """Random numbers that keep what flows through a model near one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            small = parameter.ndim < 2 or parameter[0].numel() == 1
            parameter.copy_(0.5 + 0.2 * noise if small else noise / parameter[0].numel() ** 0.5)
    return model.eval().requires_grad_(False)


def make_dit(device: torch.device, dtype: torch.dtype) -> WanDiT:
    """``DIT``, with what must be float32 in float32."""
    dit = filled(WanDiT(DIT), 0)
    for name, parameter in dit.named_parameters():
        parameter.data = parameter.to(device, torch.float32 if WanDiT.keep_in_fp32(name) else dtype)
    return dit


def make_vae(device: torch.device, dtype: torch.dtype) -> WanVAE:
    """The VAE of all Wan2.1 models."""
    return filled(WanVAE(VAEConfig()), 1).to(device, dtype)


def make_text_encoder(device: torch.device, dtype: torch.dtype) -> nn.Module:
    """``UMT5``."""
    return filled(build_encoder(UMT5), 2).to(device, dtype)
