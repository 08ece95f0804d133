"""Fun-Control: a video that is followed, perhaps a first frame, perhaps a reference picture (diffsynth 2)."""

# F latent frames, h w latent grid, C latent channels

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.pipelines.conditioning.camera import place_first
from wan_core.pipelines.conditioning.types import Conditioning, ConditioningJob
from wan_core.pipelines.control_video import draw_control
from wan_core.pipelines.encoding_media import (
    blank_embeds,
    embed_pictures,
    encode_chunks,
    encode_frames,
    load_clip,
    load_picture,
    pixel_chunks,
    read_picture,
)
from wan_core.schema.inputs import Given


def control_channels(control: Tensor, start: Tensor | None) -> Tensor:
    """What is joined to the noisy latents: the control, then the first frame; there is no mask.

    Args:
        control: (1, C, F, h, w), latents of the video that is followed.
        start: (1, C, 1, h, w), latents of the first frame; None is zeros.

    Returns:
        (1, 2C, F, h, w). After the first latent frame the start's half is zero: the zeros of latents, not
        grey frames encoded, as the models were trained.
    """
    empty = torch.zeros_like(control)
    placed = empty if start is None else place_first(start, control.shape[2])
    return torch.cat([control, placed], dim=1)


def fun_control_conditioner(job: ConditioningJob) -> Conditioning:
    """The request's ``video``, and its ``image`` and first of ``references`` if there are any.

    The image encoder sees the reference, else the first frame, else nothing. In the steps outside
    ``control_start`` to ``control_end`` the control is zero; the pictures stay.
    """
    request = job.request
    reference = Given(request.references[0]) if request.references else None
    image = request.given("image")
    seen = reference or image
    embeds = embed_pictures(job, [read_picture(job, seen)]) if seen else blank_embeds(job)
    control = _encode_control(job)
    start = _encode_picture(job, image) if image else None
    dit = DiTConditioning(
        channel_latents=control_channels(control, start),
        image_embeds=embeds,
        reference_latents=_encode_picture(job, reference)[:, :, 0] if reference else None,
    )
    without = control_channels(torch.zeros_like(control), start)
    idle = dataclasses.replace(dit, channel_latents=without)
    return Conditioning(dit, idle=idle, followed_channels=control.shape[1])


def _encode_control(job: ConditioningJob) -> Tensor:
    request = job.request
    frames = load_clip(job, request.given("video"), request.num_frames)
    if request.preprocess != "none":
        frames = draw_control(frames, request.preprocess, job.source, job.emit)
    return encode_chunks(job, pixel_chunks(frames), request.num_frames)


def _encode_picture(job: ConditioningJob, given: Given) -> Tensor:
    """(1, C, 1, h, w)."""
    return encode_frames(job, load_picture(job, given)[:, :, None])
