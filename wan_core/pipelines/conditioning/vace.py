"""The VACE context: what is kept, what steers, where it is made anew, and who is to appear (spec 8).

The first half are functions on tensors, which training uses too; the second reads a request's media.
"""

# B batch, T frames, H W pixels, F latent frames, h w latent grid (1/8 of the pixels), R references

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wan_core.catalog.masking import check_masking
from wan_core.media.fitting import cut, fit_frames
from wan_core.media.read import stream_clip
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.vae.config import SPATIAL_STRIDE, TEMPORAL_STRIDE, latent_frames
from wan_core.pipelines.conditioning import masks
from wan_core.pipelines.conditioning.types import Conditioning, ConditioningJob
from wan_core.pipelines.control_video import UNDRAWN, draw_control
from wan_core.pipelines.encoding_media import (
    encode_chunks,
    encode_frames,
    load_clip,
    load_frame,
    load_mask,
    read_picture,
    to_pixels,
)
from wan_core.schema.inputs import Given

_BINARY = 0.5  # a pixel whose mask is above it belongs to what is made anew
_WHITE = 1.0


def split_frames(frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Frames (B, 3, T, H, W) in [-1, 1] -> (inactive, reactive): what stays, and what is in its place.

    In each, the other's part is 0, that is mid-grey. ``mask`` is (B, 1, T, H, W), 1 = made anew.
    """
    new = mask > _BINARY
    return frames.masked_fill(new, 0), frames.masked_fill(~new, 0)


def mask_channels(mask: Tensor) -> Tensor:
    """Mask (B, 1, T, H, W), not binarised -> (B, 64, F, h, w) of its numbers.

    The 8x8 pixels of a latent cell become channels, row by row; of four frames one is taken, the nearest
    to their middle.
    """
    frames, count, side = mask.shape[2], latent_frames(mask.shape[2]), SPATIAL_STRIDE
    picked = mask[:, 0, [(2 * index + 1) * frames // (2 * count) for index in range(count)]]
    batch, _, height, width = picked.shape
    cells = picked.reshape(batch, count, height // side, side, width // side, side)
    return cells.permute(0, 3, 5, 1, 2, 4).reshape(batch, side**2, count, height // side, width // side)


def vace_context(
    inactive: Tensor, reactive: Tensor, channels: Tensor, references: Sequence[Tensor]
) -> Tensor:
    """The context that a VACE model reads, (B, 96, R + F, h, w).

    Args:
        inactive: (B, 16, F, h, w), latents of what stays.
        reactive: (B, 16, F, h, w), latents of what is in place of the rest: a control, or grey.
        channels: (B, 64, F, h, w), ``mask_channels`` of a mask in [0, 1], 1 = made anew.
        references: each (B, 16, 1, h, w), latents of one picture. They go first in time, in their
            order, with zeros for the reactive latents and the mask.
    """
    clip = torch.cat([inactive, reactive, channels], dim=1)
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
        frames: (T, H, W, 3), uint8.
        mask: (T, H, W), uint8, 255 = made anew; often the same bytes for all frames.
        steers: where the mask is high, ``frames`` steer what is made; else they say nothing there.
    """

    frames: np.ndarray
    mask: np.ndarray
    steers: bool = False

    def chunks(self) -> Iterator[tuple[Tensor, Tensor]]:
        """(1, 3, n, H, W) in [-1, 1] and its mask (1, 1, n, H, W) in [0, 1], some frames at a time."""
        for start in range(0, len(self.frames), TEMPORAL_STRIDE):
            part = slice(start, start + TEMPORAL_STRIDE)
            yield (
                to_pixels(self.frames[part]),
                torch.from_numpy(self.mask[part] / np.float32(255))[None, None],
            )


def vace_conditioner(job: ConditioningJob) -> Conditioning:
    """The request's video, mask, fixed pictures and references; with none of them, the prompt alone."""
    check_masking(job.request)
    clip = build_clip(job)
    kept = _encode(job, clip, lambda frames, mask: split_frames(frames, mask)[0])
    if clip.steers:
        new = _encode(job, clip, lambda frames, mask: split_frames(frames, mask)[1])
    elif masks.is_new(clip.mask).all():
        new = kept  # both are grey
    else:
        new = _encode(job, clip, lambda frames, mask: torch.zeros_like(frames))
    channels = mask_channels(torch.from_numpy(np.array(clip.mask))[None, None]) / 255
    references = [_encode_reference(job, Given(name)) for name in job.request.references]
    dit = DiTConditioning(
        vace_latents=vace_context(kept, new, channels, references), vace_scale=job.request.control_scale
    )
    idle = dataclasses.replace(dit, vace_scale=0.0)
    return Conditioning(dit=dit, idle=idle, front_frames=len(references))


def build_clip(job: ConditioningJob) -> MaskedClip:
    """The frames and the mask that a request stands for, before the VAE.

    A picture that stays is a frame of the video, and cut and resampled like one.

    Raises:
        MediaError: a file is gone or damaged.
    """
    request = job.request
    clip = _BUILDERS[request.mask_builder](job) if request.video else _blank(job)
    frames, mask, steers = clip.frames, clip.mask, clip.steers or request.preprocess != "none"
    if request.preprocess not in UNDRAWN:
        drawn = draw_control(frames, request.preprocess, job.source, job.emit)
        frames = np.where(masks.is_new(mask)[..., None], drawn, frames)
    ends = ((0, request.given("image")), (-1, request.given("last_image")))
    pictures = [(at, given) for at, given in ends if given]
    if pictures:
        mask = mask.copy()
    for at, given in pictures:
        frames[at] = load_frame(job, given)
        mask[at] = 0
    return MaskedClip(frames, mask, steers)


def _blank(job: ConditioningJob) -> MaskedClip:
    """Nothing is known, all of it is made anew."""
    request = job.request
    shape = (request.num_frames, request.height, request.width)
    return MaskedClip(np.zeros((*shape, 3), np.uint8), np.full(shape, masks.ANEW, np.uint8))


def _uploaded(job: ConditioningJob) -> MaskedClip:
    request = job.request
    frames = load_clip(job, request.given("video"), request.num_frames)
    if request.mask is None:
        return MaskedClip(frames, np.full(frames.shape[:3], masks.ANEW, np.uint8), steers=True)
    return MaskedClip(frames, load_mask(job, request.given("mask"), request.num_frames))


def _region(job: ConditioningJob) -> MaskedClip:
    request = job.request
    box = masks.region_box(request.region, request.width, request.height)
    return _masked(job, masks.inside_mask(box, request.width, request.height))


def _kept_frames(job: ConditioningJob) -> MaskedClip:
    return _masked(job, masks.frames_mask(job.request.kept_frames, job.request.num_frames))


def _masked(job: ConditioningJob, mask: np.ndarray) -> MaskedClip:
    """The request's video with a mask that broadcasts to (T, H, W)."""
    frames = load_clip(job, job.request.given("video"), job.request.num_frames)
    return MaskedClip(frames, np.broadcast_to(mask, frames.shape[:3]))


def _outpaint(job: ConditioningJob) -> MaskedClip:
    request = job.request
    box = masks.outpaint_box(request.outpaint, request.width, request.height)
    smaller = request.model_copy(update={"width": box.width, "height": box.height})
    frames = np.zeros((request.num_frames, request.height, request.width, 3), np.uint8)
    inside = load_clip(dataclasses.replace(job, request=smaller), request.given("video"), request.num_frames)
    frames[:, box.rows, box.columns] = inside
    mask = masks.outside_mask(box, request.width, request.height)
    return MaskedClip(frames, np.broadcast_to(mask, frames.shape[:3]))


def _extension(job: ConditioningJob) -> MaskedClip:
    request, clip = job.request, _blank(job)
    taken = _edge_frames(job)
    part = masks.overlap_slice(request.mask_builder, len(taken), request.num_frames)
    clip.frames[part] = taken
    clip.mask[part] = 0
    return clip


_BUILDERS: dict[str, Callable[[ConditioningJob], MaskedClip]] = {
    "none": _uploaded,
    "region": _region,
    "outpaint": _outpaint,
    "frames": _kept_frames,
    "before": _extension,
    "after": _extension,
}


def _edge_frames(job: ConditioningJob) -> np.ndarray:
    """(n, H, W, 3), uint8: the end of the chosen part of the video that is extended."""
    request = job.request
    given = request.given("video")
    stream = stream_clip(job.inputs.path(given.name), request.video_start, request.video_end, request.fps)
    frames = (cut(frame, given.part) for frame in stream.frames)
    count = masks.overlap(request.kept_frames, request.num_frames, stream.expected)
    if request.mask_builder == "after":
        taken = list(deque(frames, maxlen=count))
    else:
        taken = [frame for frame, _ in zip(frames, range(count), strict=False)]
    return fit_frames(taken, request.width, request.height, request.fit)


def _encode(job: ConditioningJob, clip: MaskedClip, choose: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The latents (1, 16, F, h, w) of what ``choose`` makes of frames and mask; a few are float at a time."""
    return encode_chunks(job, (choose(*chunk) for chunk in clip.chunks()), len(clip.frames))


def _encode_reference(job: ConditioningJob, given: Given) -> Tensor:
    """(1, 16, 1, h, w)."""
    boxed = letterbox(read_picture(job, given), job.request.height, job.request.width)
    return encode_frames(job, boxed[:, :, None])
