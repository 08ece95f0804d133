"""Fun-Control-Camera: a picture from which a camera moves as it is told (diffsynth 2)."""

# F latent frames, H W pixels, h w latent grid

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wan_core.media.camera_poses import CameraTrack, read_track
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.pipelines.camera_rays import camera_channels, move_camera
from wan_core.pipelines.conditioning.types import Conditioning, ConditioningJob
from wan_core.pipelines.encoding_media import embed_pictures, encode_frames, load_picture, read_picture


def place_first(picture_latents: Tensor, latent_frames: int) -> Tensor:
    """(1, C, 1, h, w) -> (1, C, F, h, w): a picture in the first latent frame, zeros in the others.

    Unlike for image to video there is no mask, and the other frames are not grey ones encoded.
    """
    placed = picture_latents.new_zeros(*picture_latents.shape[:2], latent_frames, *picture_latents.shape[3:])
    placed[:, :, :1] = picture_latents
    return placed


def build_camera(channel_latents: Tensor, image_embeds: Tensor, camera: Tensor, partly: bool) -> Conditioning:
    """What the camera model reads; ``camera`` is (1, 24, F, H, W).

    In the steps outside a ``partly`` controlled run the model reads a camera of zeros, as in
    WanVideoWrapper; the picture stays.
    """
    dit = DiTConditioning(channel_latents=channel_latents, image_embeds=image_embeds, camera=camera)
    idle = dataclasses.replace(dit, camera=torch.zeros_like(camera)) if partly else None
    return Conditioning(dit, idle=idle)


def camera_conditioner(job: ConditioningJob) -> Conditioning:
    """The request's ``image`` and its ``camera_poses`` or ``camera_motion``; with neither it stands still."""
    request = job.request
    channels = camera_channels(_track(job), request.width, request.height)
    image = request.given("image")
    embeds = embed_pictures(job, [read_picture(job, image)])
    first = encode_frames(job, load_picture(job, image)[:, :, None])
    partly = request.control_start > 0 or request.control_end < 1
    latents = place_first(first, channels.shape[1])
    return build_camera(latents, embeds, torch.from_numpy(channels)[None], partly=partly)


def _track(job: ConditioningJob) -> CameraTrack:
    request = job.request
    if request.camera_poses is not None:
        return read_track(job.inputs.path(request.camera_poses)).first(request.num_frames)
    return move_camera(
        request.camera_motion, request.camera_speed, request.num_frames, shear=request.camera_rotation
    )
