"""Image to video, by a first frame or by a first and a last one: I2V, FLF2V, Fun-InP (spec 7).

The first half are functions on tensors, which training uses too; the second reads a request's media.
"""

# T frames, H W pixels; F latent frames, h w latent grid; C latent channels

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.vae.config import SPATIAL_STRIDE, TEMPORAL_STRIDE, latent_frames
from wan_core.pipelines.conditioning.types import Conditioning, ConditioningJob
from wan_core.pipelines.encoding_media import (
    blank_embeds,
    embed_pictures,
    encode_chunks,
    load_picture,
    read_picture,
)
from wan_core.schema import GenerationRequest
from wan_core.schema.inputs import Given


def known_mask(known: Sequence[int], num_frames: int, height: int, width: int) -> Tensor:
    """The mask channels: 1 where a frame is given.

    Each channel stands for one of a latent frame's four frames. The first latent frame has but one, which
    fills all four.

    Args:
        known: the frames that are given; -1 is the last.
        num_frames: length of the clip, 4n+1.
        height: of the latent grid.
        width: of the latent grid.

    Returns:
        (1, 4, F, h, w), float32.
    """
    flags = torch.zeros(num_frames)
    flags[list(known)] = 1
    spread = torch.cat([flags[:1].expand(TEMPORAL_STRIDE - 1), flags])
    channels = spread.view(-1, TEMPORAL_STRIDE).T
    return channels[None, :, :, None, None].expand(-1, -1, -1, height, width)


def known_frames(first: Tensor, last: Tensor | None, num_frames: int) -> Iterator[Tensor]:
    """The clip that the VAE encodes: the pictures at its ends, mid-grey between.

    It comes in chunks as the VAE takes them, and the grey ones take no memory.

    Args:
        first: (1, 3, H, W) in [-1, 1].
        last: the same, or None for a clip that ends in grey.
        num_frames: 4n+1.

    Yields:
        (1, 3, 1, H, W), then (1, 3, 4, H, W) until ``num_frames`` are there.
    """
    yield first[:, :, None]
    grey = first.new_zeros(1, 1, 1, 1, 1).expand(1, 3, TEMPORAL_STRIDE, *first.shape[2:])
    groups = (num_frames - 1) // TEMPORAL_STRIDE
    for _ in range(groups - 1 if last is not None else groups):
        yield grey
    if last is not None:
        yield torch.cat([grey[:, :, 1:], last[:, :, None]], dim=2)


def image_channels(mask: Tensor, latents: Tensor) -> Tensor:
    """What is joined to the noisy latents: the mask (1, 4, F, h, w), then the clip (1, C, F, h, w)."""
    return torch.cat([mask, latents], dim=1)


def image_conditioner(job: ConditioningJob) -> Conditioning:
    """The request's ``image`` and ``last_image``; without any, the prompt alone, as Fun-InP knows it.

    A model with places for two pictures sees both through its image encoder, any other the first only.
    """
    request, config = job.request, job.spec.dit
    if request.image is None:
        channels = torch.zeros(1, config.in_dim - config.out_dim, *_grid(request))
        return Conditioning(DiTConditioning(channel_latents=channels, image_embeds=blank_embeds(job)))
    ends = [given for given in map(request.given, ("image", "last_image")) if given]
    seen = ends if config.image_positions else ends[:1]
    embeds = embed_pictures(job, [read_picture(job, given) for given in seen])
    mask = known_mask((0, -1)[: len(ends)], request.num_frames, *_grid(request)[1:])
    channels = image_channels(mask, _encode_ends(job, ends))
    return Conditioning(DiTConditioning(channel_latents=channels, image_embeds=embeds))


def _encode_ends(job: ConditioningJob, ends: Sequence[Given]) -> Tensor:
    """The latents of a clip of which the first picture, and perhaps the last, is known."""
    first, *last = (load_picture(job, given) for given in ends)
    frames = known_frames(first, last[0] if last else None, job.request.num_frames)
    return encode_chunks(job, frames, job.request.num_frames)


def _grid(request: GenerationRequest) -> tuple[int, int, int]:
    """(F, h, w) of a settled request."""
    sides = (request.height // SPATIAL_STRIDE, request.width // SPATIAL_STRIDE)
    return (latent_frames(request.num_frames), *sides)
