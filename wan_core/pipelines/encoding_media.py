"""The media of a request as tensors, at the clip's size and length, and as latents.

Shape legend: T frames, H W pixels of the clip; F latent frames, h w latent grid.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from wan_core.catalog import Role
from wan_core.media.fitting import fit_frames, fit_length
from wan_core.media.read import read_mask_image, stream_clip
from wan_core.models.vae.config import decoding_bytes, latent_frames
from wan_core.pipelines.components import device_of
from wan_core.pipelines.conditioning.types import ConditioningJob
from wan_core.schema import GenerationFailed, ProgressEvent, Stage
from wan_core.schema.inputs import InputName


def load_frames(job: ConditioningJob, name: InputName, num_frames: int) -> Tensor:
    """The chosen part of a kept video, (1, 3, T, H, W) in [-1, 1]; it holds its last frame if it is short.

    Raises:
        MediaError: it is gone, damaged, or has nothing in that part.
    """
    return to_pixels(_clip(job, name, num_frames))


def load_mask(job: ConditioningJob, name: InputName, num_frames: int) -> Tensor:
    """A kept mask, (1, 1, T, H, W) in [0, 1], 1 where something is made anew; a picture is for all frames.

    Of a video's frames the first channel counts (spec 8).
    """
    request = job.request
    if job.inputs.kind(name) == "image":
        mask = read_mask_image(job.inputs.path(name))
        frames = fit_frames([mask], request.width, request.height, request.fit)
        frames = np.repeat(frames, num_frames, axis=0)
    else:
        frames = _clip(job, name, num_frames)[..., 0]
    return torch.from_numpy(frames.copy())[None, None].float() / 255


def encode_frames(job: ConditioningJob, frames: Tensor) -> Tensor:
    """(1, 3, T, H, W) in [-1, 1] -> normalised latents (1, C, F, h, w), float32, on the CPU.

    Raises:
        GenerationFailed: the latents have NaN.
    """
    height, width = frames.shape[3:]
    total, parts = latent_frames(frames.shape[2]), []
    with job.source.use(job.spec, Role.VAE, job.emit, decoding_bytes(job.spec.vae, width, height)) as vae:
        for part in _encoded(vae, frames):
            parts.append(part.float().cpu())
            job.emit(ProgressEvent(stage=Stage.ENCODE, step=len(parts), total=total, part=Role.VAE))
    latents = torch.cat(parts, dim=2)
    if not latents.isfinite().all():
        raise GenerationFailed("The VAE encoded a frame to NaN; try precision fp32.")
    return latents


def to_pixels(frames: np.ndarray) -> Tensor:
    """(T, H, W, 3), uint8 -> (1, 3, T, H, W), float32 in [-1, 1]: x / 127.5 - 1."""
    return torch.from_numpy(frames.copy()).permute(3, 0, 1, 2)[None].float() / 127.5 - 1


@torch.inference_mode()
def _encoded(vae: torch.nn.Module, frames: Tensor) -> Iterator[Tensor]:
    weight, device = next(vae.parameters()), device_of(vae)
    chunks = (chunk.to(device, weight.dtype) for chunk in frames.split(4, dim=2))
    yield from vae.encode_stream(chunks)


def _clip(job: ConditioningJob, name: InputName, num_frames: int) -> np.ndarray:
    """(T, H, W, 3), uint8, at the request's rate, size and fit."""
    request = job.request
    stream = stream_clip(
        job.inputs.path(name), request.video_start, request.video_end, request.fps, num_frames
    )
    fitted = fit_frames(stream.frames, request.width, request.height, request.fit)
    return fit_length(fitted, num_frames)
