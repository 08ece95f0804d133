"""Latents to pictures, a few frames at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from wan_core.models.vae.config import TEMPORAL_STRIDE
from wan_core.models.vae.model import WanVAE
from wan_core.schema import Emit, GenerationFailed, ProgressEvent, Stage

_FLAT = 2  # a clip whose brightest and darkest values are this close (of 255) shows nothing


def decode_frames(vae: WanVAE, latents: Tensor, emit: Emit, rounded: bool = False) -> Iterator[np.ndarray]:
    """Latents (1, C, F, H, W) -> chunks of frames (T, H, W, 3) uint8, in order: 1, 4, 4, ...

    Reports frames done; one chunk is in memory at a time. ``rounded`` is the official way for a picture.

    Raises:
        GenerationFailed: a frame has NaN, or all frames are one colour.
    """
    total = (latents.shape[2] - 1) * TEMPORAL_STRIDE + 1
    done, low, high = 0, 255, 0
    emit(ProgressEvent(stage=Stage.DECODE, step=0, total=total))
    for chunk in _decoded(vae, latents):
        if not chunk.isfinite().all():
            raise GenerationFailed(
                f"Frame {done + 1} of {total} decoded to numbers that are no picture (NaN); "
                "try precision fp32."
            )
        frames = to_uint8(chunk, rounded)[0].numpy()
        low, high = min(low, int(frames.min())), max(high, int(frames.max()))
        done += len(frames)
        emit(ProgressEvent(stage=Stage.DECODE, step=done, total=total))
        yield frames
    if high - low <= _FLAT:
        raise GenerationFailed(
            "Every frame came out in one colour; try another seed, more steps or a guidance scale near "
            "the model's default."
        )


@torch.inference_mode()
def _decoded(vae: WanVAE, latents: Tensor) -> Iterator[Tensor]:
    weight = next(vae.parameters())
    yield from vae.decode_stream(latents.to(weight.device, weight.dtype))


@torch.inference_mode()
def to_uint8(frames: Tensor, rounded: bool = False) -> Tensor:
    """(B, 3, T, H, W) in [-1, 1] -> (B, T, H, W, 3) uint8 on the CPU, truncated or rounded (spec 11)."""
    scaled = (frames.float().clamp(-1, 1) + 1) / 2 * 255 + (0.5 if rounded else 0.0)
    return scaled.to(torch.uint8).permute(0, 2, 3, 4, 1).contiguous().cpu()
