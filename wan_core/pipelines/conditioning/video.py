"""Video to video: denoising begins from a video, and may leave parts of it alone."""

# T frames, H W pixels; F latent frames, h w latent grid

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wan_core.models.vae.config import SPATIAL_STRIDE, TEMPORAL_STRIDE
from wan_core.pipelines.conditioning.masks import is_new
from wan_core.pipelines.conditioning.types import Conditioning, ConditioningJob
from wan_core.pipelines.encoding_media import encode_chunks, load_clip, load_mask, pixel_chunks


def latent_mask(mask: np.ndarray) -> Tensor:
    """What is made anew, on the latent grid: wherever any of a latent's pixels is.

    The first latent frame stands for one frame, every other for four.

    Args:
        mask: (T, H, W), uint8, 255 = made anew; T is 4n+1.

    Returns:
        (1, 1, F, h, w), float32, of zeros and ones.
    """
    frames, height, width = mask.shape
    rows, columns = height // SPATIAL_STRIDE, width // SPATIAL_STRIDE
    parts = is_new(mask).reshape(frames, rows, SPATIAL_STRIDE, columns, SPATIAL_STRIDE)
    cells = parts.any(axis=(2, 4))
    later = cells[1:].reshape(-1, TEMPORAL_STRIDE, rows, columns).any(axis=1)
    return torch.from_numpy(np.concatenate([cells[:1], later]))[None, None].float()


def video_conditioner(job: ConditioningJob) -> Conditioning:
    """The request's ``video``, and its ``mask`` if there is one."""
    request = job.request
    frames = load_clip(job, request.given("video"), request.num_frames)
    start = encode_chunks(job, pixel_chunks(frames), request.num_frames)
    if request.mask is None:
        return Conditioning(start=start)
    mask = load_mask(job, request.given("mask"), request.num_frames)
    return Conditioning(start=start, keep=latent_mask(mask))
