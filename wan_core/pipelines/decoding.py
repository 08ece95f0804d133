"""Latents to pictures, a few frames at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from wan_core.models.vae.config import SPATIAL_STRIDE, TEMPORAL_STRIDE
from wan_core.models.vae.model import WanVAE
from wan_core.models.vae.tiling import decode_tiles
from wan_core.schema import Emit, GenerationFailed, ProgressEvent, Stage

_LED_IN = 6
"""Latent frames that are decoded before a loop's first one: the VAE sees what came before."""

_FLAT = 2  # a frame whose pixels differ by no more than this (of 255) shows nothing


def decode_frames(
    vae: WanVAE, latents: Tensor, emit: Emit, rounded: bool = False, tile: int | None = None
) -> Iterator[np.ndarray]:
    """Latents (1, C, F, H, W) -> chunks of frames (T, H, W, 3) uint8, in order: 1, 4, 4, ...

    Reports frames done. One chunk is in memory at a time; in tiles all frames are, as they are complete only
    with the last tile. ``rounded`` is the official way for a picture.

    Raises:
        GenerationFailed: a frame has NaN, or each is of one colour.
    """
    shows = False
    in_tiles = tile is not None and tile < max(latents.shape[3:]) * SPATIAL_STRIDE
    chunks = _tiled(vae, latents, emit, rounded, tile) if in_tiles else _streamed(vae, latents, emit, rounded)
    for frames in chunks:
        shows = shows or int((frames.max(axis=(1, 2)) - frames.min(axis=(1, 2))).max()) > _FLAT
        yield frames
    if not shows:
        raise GenerationFailed(
            "Every frame came out in one colour; try another seed, more steps or a guidance scale near "
            "the model's default."
        )


def decode_loop(vae: WanVAE, latents: Tensor, emit: Emit, tile: int | None = None) -> Iterator[np.ndarray]:
    """As ``decode_frames``, of a clip whose last frame is followed by its first.

    Its end is decoded before it and thrown away, so that the first latent frame stands for four frames like
    all others: (1, C, F, H, W) -> 4 F frames, three more than of a clip with a beginning.
    """
    lead = min(latents.shape[2], _LED_IN)
    led_in = torch.cat([latents[:, :, -lead:], latents], dim=2)
    yield from islice(decode_frames(vae, led_in, emit, tile=tile), lead, None)


@torch.inference_mode()
def _streamed(vae: WanVAE, latents: Tensor, emit: Emit, rounded: bool) -> Iterator[np.ndarray]:
    total, done = _length(latents), 0
    emit(ProgressEvent(stage=Stage.DECODE, step=0, total=total))
    for chunk in vae.decode_stream(_like_weights(vae, latents)):
        frames = _finished(chunk, rounded, done, total)
        done += len(frames)
        emit(ProgressEvent(stage=Stage.DECODE, step=done, total=total))
        yield frames


@torch.inference_mode()
def _tiled(vae: WanVAE, latents: Tensor, emit: Emit, rounded: bool, tile: int) -> Iterator[np.ndarray]:
    total, sides = _length(latents), [side * SPATIAL_STRIDE for side in latents.shape[3:]]
    clip = np.empty((total, *sides, 3), np.uint8)
    pixels_done, place, done = 0, None, 0
    emit(ProgressEvent(stage=Stage.DECODE, step=0, total=total))
    for now, piece in decode_tiles(vae, _like_weights(vae, latents), tile):
        done, place = (done if now is place else 0), now
        frames = _finished(piece, rounded, done, total)
        clip[done : done + len(frames), *now.pixel_index] = frames
        done += len(frames)
        pixels_done += frames[..., 0].size
        share = pixels_done / clip[..., 0].size
        emit(ProgressEvent(stage=Stage.DECODE, step=round(total * share), total=total))
    yield clip[:1]
    for start in range(1, total, TEMPORAL_STRIDE):
        yield clip[start : start + TEMPORAL_STRIDE]


def _length(latents: Tensor) -> int:
    return (latents.shape[2] - 1) * TEMPORAL_STRIDE + 1


def _like_weights(vae: WanVAE, latents: Tensor) -> Tensor:
    weight = next(vae.parameters())
    return latents.to(weight.device, weight.dtype)


def _finished(chunk: Tensor, rounded: bool, done: int, total: int) -> np.ndarray:
    """(1, 3, T, H, W) in [-1, 1] -> (T, H, W, 3), uint8; ``done`` frames came before."""
    if not chunk.isfinite().all():
        raise GenerationFailed(
            f"Frame {done + 1} of {total} decoded to numbers that are no picture (NaN); try precision fp32."
        )
    return to_uint8(chunk, rounded)[0].numpy()


@torch.inference_mode()
def to_uint8(frames: Tensor, rounded: bool = False) -> Tensor:
    """(B, 3, T, H, W) in [-1, 1] -> (B, T, H, W, 3) uint8 on the CPU, truncated or rounded (spec 11)."""
    scaled = (frames.float().clamp(-1, 1) + 1) / 2 * 255 + (0.5 if rounded else 0.0)
    return scaled.to(torch.uint8).permute(0, 2, 3, 4, 1).contiguous().cpu()
