"""What a mask keeps, put back pixel by pixel: the VAE would draw it again, only nearly the same."""

# T frames, H W pixels

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from wan_core.pipelines.conditioning.masks import is_new
from wan_core.pipelines.conditioning.types import ConditioningJob
from wan_core.pipelines.conditioning.vace import build_clip
from wan_core.pipelines.encoding_media import load_clip, load_mask
from wan_core.pipelines.windows import is_loop

_EDGE_SHARE = 60  # of the shorter side is the width of the soft edge


@dataclass(frozen=True)
class KeptPixels:
    """Frames (T, H, W, 3), uint8, and where they do not count (T, H, W), bool: what is made anew."""

    frames: np.ndarray
    new: np.ndarray


def kept_pixels(job: ConditioningJob) -> KeptPixels | None:
    """What a settled request keeps of its media; None where it keeps nothing, or not exactly."""
    request = job.request
    if is_loop(request):
        return None  # its frames begin elsewhere, see ``decode_loop``
    if not request.keep_exact or "keep_exact" not in job.spec.inputs[request.task].taken:
        return None
    if job.spec.inputs[request.task].conditioner == "vace":
        undrawn = request.model_copy(update={"preprocess": "none"})  # a control is drawn where all is new
        clip = build_clip(dataclasses.replace(job, request=undrawn))
        new = is_new(clip.mask)
        return None if new.all() else KeptPixels(clip.frames, new)
    if request.mask is None:
        return None
    mask = load_mask(job, request.given("mask"), request.num_frames)
    return KeptPixels(load_clip(job, request.given("video"), request.num_frames), is_new(mask))


def paste(chunks: Iterable[np.ndarray], kept: KeptPixels) -> Iterator[np.ndarray]:
    """Chunks (n, H, W, 3), uint8, of the whole clip -> the same with what is kept in its place.

    What is made anew stays untouched; around it a narrow edge of what is kept goes over softly.
    """
    done = 0
    for chunk in chunks:
        part = slice(done, done + len(chunk))
        weights = np.stack([soft_edge(new) for new in kept.new[part]])[..., None]
        mixed = kept.frames[part] + weights * (chunk.astype(np.float32) - kept.frames[part])
        yield (mixed + 0.5).astype(np.uint8)
        done += len(chunk)


def soft_edge(new: np.ndarray) -> np.ndarray:
    """(H, W), bool -> how much of what was made counts, (H, W), float32: 1 inside, falling to 0 outside."""
    radius = max(min(new.shape) // _EDGE_SHARE, 1)
    near = Image.fromarray(new.astype(np.uint8) * 255).filter(ImageFilter.BoxBlur(radius))
    return np.maximum(new, np.minimum(np.asarray(near, np.float32) / 127.5, 1)).astype(np.float32)
