"""Clips and single frames of the VAE in memory, where channels lie last.

Views are made in the order of memory, so that the strides of a single frame, too, say where its channels lie.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def to_rows(x: Tensor) -> Tensor:
    """(B, C, ..., H, W) -> (B, ..., H, W, C)."""
    return x.movedim(1, -1)


def from_rows(x: Tensor) -> Tensor:
    """(B, ..., H, W, C) -> (B, C, ..., H, W)."""
    return x.movedim(-1, 1)


def to_frames(x: Tensor) -> Tensor:
    """(B, C, T, H, W) -> (B*T, C, H, W)."""
    return from_rows(to_rows(x).flatten(0, 1))


def to_clip(frames: Tensor, batch: int) -> Tensor:
    """(B*T, C, H, W) -> (B, C, T, H, W)."""
    return from_rows(to_rows(frames).unflatten(0, (batch, -1)))


def order_weights(module: nn.Module) -> None:
    """Lay the weights of convolutions on a CPU as oneDNN wants them; else it would copy them at each call.

    Nothing is done where gradients are taken, as an optimiser's own tensors are in the order of the weights.
    """
    if torch.is_grad_enabled():
        return
    orders = {4: torch.channels_last, 5: torch.channels_last_3d}
    for weight in module.parameters():
        if weight.device.type == "cpu" and weight.ndim in orders:
            with torch.inference_mode(weight.is_inference()), torch.no_grad():
                weight.data = weight.data.contiguous(memory_format=orders[weight.ndim])
