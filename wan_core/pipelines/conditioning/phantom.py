"""Phantom: a video of who or what is in the reference pictures (engines 4)."""

# H W pixels, h w latent grid, R references

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wan_core.media.read import read_image
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.pipelines.conditioning.types import Conditioning, ConditioningJob
from wan_core.pipelines.encoding_media import encode_frames, to_pixels

_WHITE = 255


def letterbox(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """(h, w, 3) -> (H, W, 3), uint8: the whole picture as large as fits, in the middle of white."""
    ratio = picture.shape[1] / picture.shape[0]
    if ratio > width / height:
        size = (width, max(int(width / ratio), 1))
    else:
        size = (max(int(height * ratio), 1), height)
    resized = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
    canvas = np.full((height, width, 3), _WHITE, np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    canvas[top : top + size[1], left : left + size[0]] = resized
    return canvas


def build_phantom(references: list[Tensor]) -> Conditioning:
    """What the three passes read, from the latents (1, C, 1, h, w) of each reference.

    The passes with the prompt and with the negative prompt see the references, each a latent frame
    after the clip. The bare pass sees zeros in their place, as in Phantom's own code: frames that are
    there and show nothing.
    """
    frames = torch.cat(references, dim=2)
    bare = DiTConditioning(frame_latents=torch.zeros_like(frames))
    return Conditioning(DiTConditioning(frame_latents=frames), bare=bare)


def phantom_conditioner(job: ConditioningJob) -> Conditioning:
    """The request's ``references``."""
    request = job.request
    pictures = [read_image(job.inputs.path(name)) for name in request.references]
    boxed = [letterbox(picture, request.width, request.height) for picture in pictures]
    return build_phantom([encode_frames(job, to_pixels(picture[None])) for picture in boxed])
