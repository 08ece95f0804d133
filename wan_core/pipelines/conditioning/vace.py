"""The VACE context: what is kept, what steers, where it is made anew, and who is to appear (spec 8).

The first half are functions on tensors, which training uses too; the second reads a request's media.
"""

# B batch, T frames, H W pixels, F latent frames, h w latent grid (1/8 of the pixels), R references

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wan_core.catalog.masking import check_masking
from wan_core.media.fitting import fit_frames
from wan_core.media.read import stream_clip
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.vae.config import SPATIAL_STRIDE, TEMPORAL_STRIDE, latent_frames
from wan_core.pipelines.conditioning import masks
from wan_core.pipelines.conditioning.types import Conditioning, ConditioningJob
from wan_core.pipelines.control_video import UNDRAWN, draw_control
from wan_core.pipelines.encoding_media import (
    encode_chunks,
    encode_frames,
    load_frames,
    load_mask,
    load_picture,
    read_picture,
    to_pixels,
)
from wan_core.schema.inputs import InputName

_BINARY = 0.5  # a pixel whose mask is above it belongs to what is made anew
_WHITE = 1.0


def split_frames(frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Frames (B, 3, T, H, W) in [-1, 1] -> (inactive, reactive): what stays, and what is in its place.

    In each, the other's part is 0, that is mid-grey. ``mask`` is (B, 1, T, H, W), 1 = made anew.
    """
    new = mask > _BINARY
    return frames.masked_fill(new, 0), frames.masked_fill(~new, 0)


def mask_channels(mask: Tensor) -> Tensor:
    """Mask (B, 1, T, H, W) in [0, 1], not binarised -> (B, 64, F, h, w).

    The 8x8 pixels of a latent cell become channels, row by row; of four frames one is taken, the nearest
    to their middle.
    """
    batch, _, frames, height, width = mask.shape
    side = SPATIAL_STRIDE
    cells = mask.reshape(batch, frames, height // side, side, width // side, side)
    channels = cells.permute(0, 3, 5, 1, 2, 4).reshape(
        batch, side * side, frames, height // side, width // side
    )
    size = (latent_frames(frames), *channels.shape[3:])
    return F.interpolate(channels, size=size, mode="nearest-exact")


def vace_context(inactive: Tensor, reactive: Tensor, mask: Tensor, references: Sequence[Tensor]) -> Tensor:
    """The context that a VACE model reads, (B, 96, R + F, h, w).

    Args:
        inactive: (B, 16, F, h, w), latents of what stays.
        reactive: (B, 16, F, h, w), latents of what is in place of the rest: a control, or grey.
        mask: (B, 1, T, H, W) in [0, 1], 1 = made anew.
        references: each (B, 16, 1, h, w), latents of one picture. They go first in time, in their
            order, with zeros for the reactive latents and the mask.
    """
    clip = torch.cat([inactive, reactive, mask_channels(mask)], dim=1)
    before = [
        torch.cat([latent, torch.zeros_like(clip[:, latent.shape[1] :, :1])], dim=1) for latent in references
    ]
    return torch.cat([*before, clip], dim=2)


def letterbox(picture: Tensor, height: int, width: int) -> Tensor:
    """A picture (B, 3, any, any) in [-1, 1] whole and centred on white, (B, 3, height, width).

    Bilinear without antialias, sides cut to whole pixels: the official way.
    """
    down, across = picture.shape[-2:]
    if (down, across) == (height, width):
        return picture
    scale = min(height / down, width / across)
    inside = (max(int(down * scale), 1), max(int(across * scale), 1))
    canvas = torch.full((*picture.shape[:2], height, width), _WHITE, dtype=picture.dtype)
    top, left = (height - inside[0]) // 2, (width - inside[1]) // 2
    canvas[..., top : top + inside[0], left : left + inside[1]] = F.interpolate(
        picture, size=inside, mode="bilinear", align_corners=False
    )
    return canvas


@dataclass(frozen=True)
class MaskedClip:
    """What a context is made from.

    Attributes:
        frames: (1, 3, T, H, W) in [-1, 1].
        mask: (1, 1, T, H, W) in [0, 1], 1 = made anew.
        is_control: where the mask is 1, ``frames`` steer what is made; else they are what is replaced.
    """

    frames: Tensor
    mask: Tensor
    is_control: bool = False


def vace_conditioner(job: ConditioningJob) -> Conditioning:
    """The request's video, mask, fixed pictures and references; with none of them, the prompt alone."""
    check_masking(job.request)
    clip = build_clip(job)
    kept = _encode_half(job, clip, 0)
    new = _encode_half(job, clip, 1) if clip.frames.any() else kept  # without a video both are grey
    references = [_encode_reference(job, name) for name in job.request.references]
    dit = DiTConditioning(
        vace_latents=vace_context(kept, new, clip.mask, references), vace_scale=job.request.control_scale
    )
    idle = dataclasses.replace(dit, vace_scale=0.0)
    return Conditioning(dit=dit, idle=idle, front_frames=len(references))


def build_clip(job: ConditioningJob) -> MaskedClip:
    """The frames and the mask that a request stands for, before the VAE.

    Raises:
        MediaError: a file is gone or damaged.
    """
    request = job.request
    clip = _BUILDERS[request.mask_builder](job) if request.video else _blank(job)
    frames, new = clip.frames, clip.mask > _BINARY
    if request.preprocess not in UNDRAWN:
        frames = torch.where(new, _drawn(job, frames), frames)
    elif request.preprocess == "none" and not clip.is_control:
        frames = frames.masked_fill(new, 0)
    mask = clip.mask.clone()
    for index, name in ((0, request.image), (-1, request.last_image)):
        if name:
            frames[:, :, index] = load_picture(job, name)
            mask[:, :, index] = 0
    return MaskedClip(frames, mask, clip.is_control)


def _blank(job: ConditioningJob) -> MaskedClip:
    """Nothing is known: grey, all of it made anew."""
    request = job.request
    shape = (request.num_frames, request.height, request.width)
    return MaskedClip(torch.zeros(1, 3, *shape), torch.ones(1, 1, *shape))


def _uploaded(job: ConditioningJob) -> MaskedClip:
    request = job.request
    frames = load_frames(job, request.video, request.num_frames)
    if request.mask is None:
        return MaskedClip(frames, torch.ones_like(frames[:, :1]), is_control=True)
    return MaskedClip(frames, load_mask(job, request.mask, request.num_frames))


def _region(job: ConditioningJob) -> MaskedClip:
    request = job.request
    box = masks.region_box(request.region, request.width, request.height)
    frames = load_frames(job, request.video, request.num_frames)
    return MaskedClip(frames, _expanded(masks.inside_mask(box, request.width, request.height), frames))


def _outpaint(job: ConditioningJob) -> MaskedClip:
    request = job.request
    box = masks.outpaint_box(request.outpaint, request.width, request.height)
    smaller = request.model_copy(update={"width": box.width, "height": box.height})
    frames = _blank(job).frames
    frames[..., box.rows, box.columns] = load_frames(
        dataclasses.replace(job, request=smaller), request.video, request.num_frames
    )
    return MaskedClip(frames, _expanded(masks.outside_mask(box, request.width, request.height), frames))


def _kept_frames(job: ConditioningJob) -> MaskedClip:
    request = job.request
    frames = load_frames(job, request.video, request.num_frames)
    return MaskedClip(frames, _expanded(masks.frames_mask(request.kept_frames, request.num_frames), frames))


def _extension(job: ConditioningJob) -> MaskedClip:
    request, clip = job.request, _blank(job)
    taken = _edge_frames(job)
    part = masks.overlap_slice(request.mask_builder, taken.shape[2], request.num_frames)
    clip.frames[:, :, part] = taken
    clip.mask[:, :, part] = 0
    return clip


_BUILDERS: dict[str, Callable[[ConditioningJob], MaskedClip]] = {
    "none": _uploaded,
    "region": _region,
    "outpaint": _outpaint,
    "frames": _kept_frames,
    "before": _extension,
    "after": _extension,
}


def _edge_frames(job: ConditioningJob) -> Tensor:
    """(1, 3, n, H, W): the end of the chosen part of the video that is extended."""
    request = job.request
    stream = stream_clip(job.inputs.path(request.video), request.video_start, request.video_end, request.fps)
    count = masks.overlap(request.kept_frames, request.num_frames, stream.expected)
    if request.mask_builder == "after":
        taken = list(deque(stream.frames, maxlen=count))
    else:
        taken = [frame for frame, _ in zip(stream.frames, range(count), strict=False)]
    return to_pixels(fit_frames(taken, request.width, request.height, request.fit))


def _drawn(job: ConditioningJob, frames: Tensor) -> Tensor:
    """The control that ``preprocess`` asks for, drawn from frames (1, 3, T, H, W); the same shape."""
    pixels = ((frames[0].permute(1, 2, 3, 0) + 1) * 127.5).round().to(torch.uint8).numpy()
    return to_pixels(draw_control(pixels, job.request.preprocess, job.source, job.emit))


def _encode_half(job: ConditioningJob, clip: MaskedClip, half: int) -> Tensor:
    """The latents (1, 16, F, h, w) of what stays (0) or of what is in its place (1)."""
    parts = zip(*(each.split(TEMPORAL_STRIDE, dim=2) for each in (clip.frames, clip.mask)), strict=True)
    return encode_chunks(job, (split_frames(*part)[half] for part in parts), clip.frames.shape[2])


def _encode_reference(job: ConditioningJob, name: InputName) -> Tensor:
    """(1, 16, 1, h, w)."""
    boxed = letterbox(read_picture(job, name), job.request.height, job.request.width)
    return encode_frames(job, boxed[:, :, None])


def _expanded(mask: np.ndarray, frames: Tensor) -> Tensor:
    """A mask that broadcasts to (T, H, W) -> (1, 1, T, H, W)."""
    return torch.from_numpy(mask)[None, None].expand(-1, -1, *frames.shape[2:])
