"""Video to video: denoising begins from a video, and may leave parts of it alone."""

# T frames, H W pixels; F latent frames, h w latent grid

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wan_core.models.vae.config import SPATIAL_STRIDE, TEMPORAL_STRIDE
from wan_core.pipelines.conditioning.types import Conditioning, ConditioningJob
from wan_core.pipelines.encoding_media import encode_chunks, load_clip, load_mask, pixel_chunks


def latent_mask(mask: Tensor) -> Tensor:
    """What is made anew, on the latent grid: wherever any of a latent's pixels is.

    The first latent frame stands for one frame, every other for four.

    Args:
        mask: (1, 1, T, H, W), 1 = made anew; T is 4n+1 or 1 (the same for all frames).

    Returns:
        (1, 1, F, h, w) of zeros and ones.
    """
    cells = F.max_pool3d((mask > 0.5).float(), (1, SPATIAL_STRIDE, SPATIAL_STRIDE))
    first, rest = cells[:, :, :1], cells[:, :, 1:]
    if not rest.shape[2]:
        return first
    return torch.cat([first, F.max_pool3d(rest, (TEMPORAL_STRIDE, 1, 1))], dim=2)


def video_conditioner(job: ConditioningJob) -> Conditioning:
    """The request's ``video``, and its ``mask`` if there is one."""
    request = job.request
    frames = load_clip(job, request.video, request.num_frames)
    start = encode_chunks(job, pixel_chunks(frames), request.num_frames)
    if request.mask is None:
        return Conditioning(start=start)
    return Conditioning(start=start, keep=latent_mask(load_mask(job, request.mask, request.num_frames)))
