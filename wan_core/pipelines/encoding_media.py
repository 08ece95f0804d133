"""The media of a request as tensors, at the clip's size and length, and as what the models read.

Whatever loads a file takes what ``GenerationRequest.given`` says: its name and the part of it that is used.

Shape legend: T frames, H W pixels of the clip, h w of a picture as it is kept; F latent frames; L rows of
image embeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wan_core.catalog import Role
from wan_core.media.fitting import cut, fit_frames, fit_length, shown_box
from wan_core.media.read import read_image, read_mask_image, stream_clip
from wan_core.models.clip.pixels import clip_pixels
from wan_core.models.vae.config import TEMPORAL_STRIDE, encoding_bytes, latent_frames
from wan_core.models.vae.tiling import encode_tiles
from wan_core.pipelines.components import device_of
from wan_core.pipelines.conditioning.types import ConditioningJob
from wan_core.schema import GenerationFailed, ProgressEvent, Stage
from wan_core.schema.inputs import Fit, Given

_BORDER = -1.0  # black, as of videos
_MAX_DISTORTION = 1.1  # of the aspect, where a size follows from a picture


def load_mask(job: ConditioningJob, given: Given, num_frames: int) -> np.ndarray:
    """A kept mask, (T, H, W), uint8, 255 where something is made anew; a picture is for all frames.

    Of a video's frames the first channel counts (spec 8).
    """
    request = job.request
    if job.inputs.kind(given.name) == "image":
        mask = cut(read_mask_image(job.inputs.path(given.name)), given.part)
        frame = fit_frames([mask], request.width, request.height, request.fit)
        return np.broadcast_to(frame, (num_frames, *frame.shape[1:]))
    return np.ascontiguousarray(load_clip(job, given, num_frames)[..., 0])


def load_frame(job: ConditioningJob, given: Given) -> np.ndarray:
    """A kept picture as a frame of a video, (H, W, 3), uint8: cut and resampled as ``load_clip`` does.

    Raises:
        MediaError: it is gone or damaged.
    """
    request = job.request
    picture = cut(read_image(job.inputs.path(given.name)), given.part)
    return fit_frames([picture], request.width, request.height, request.fit)[0]


def read_picture(job: ConditioningJob, given: Given) -> Tensor:
    """The used part of a kept picture as it is, (1, 3, h, w) in [-1, 1]: what the image encoder is to see.

    Raises:
        MediaError: it is gone or damaged.
    """
    picture = cut(read_image(job.inputs.path(given.name)), given.part)
    return to_pixels(picture[None])[:, :, 0]


def load_picture(job: ConditioningJob, given: Given) -> Tensor:
    """A kept picture at the clip's size, (1, 3, H, W): what the VAE is to see; see ``fit_picture``.

    Raises:
        MediaError: it is gone or damaged.
    """
    request = job.request
    picture = read_picture(job, given)
    multiple = job.spec.size_multiple
    fit = request.fit
    if follows(picture.shape[2:], request.width, request.height, multiple):
        fit = "stretch"
    return fit_picture(picture, request.width, request.height, fit)


def follows(shape: Sequence[int], width: int, height: int, multiple: int) -> bool:
    """Whether a clip has a size that the official rule gives for a picture of ``shape`` (height, width).

    The rule (spec 7) gives each side the picture's aspect at some area, rounded down to a multiple; then
    the whole picture is what the model saw in training, not its middle.
    """
    aspect = shape[1] / shape[0]
    least = max(width**2 / aspect, height**2 * aspect)
    most = min((width + multiple) ** 2 / aspect, (height + multiple) ** 2 * aspect)
    distortion = aspect * height / width
    return least < most and 1 / _MAX_DISTORTION <= distortion <= _MAX_DISTORTION


def fit_picture(picture: Tensor, width: int, height: int, fit: Fit) -> Tensor:
    """(1, 3, h, w) -> (1, 3, H, W), bicubic without antialias and without clamping (spec 7).

    ``crop`` cuts what is of another aspect to the middle first, ``fit`` puts the whole picture on black,
    ``stretch`` changes the aspect. A picture of the right size stays as it is.
    """
    down, across = picture.shape[2:]
    if fit == "crop":
        left, top, right, bottom = map(round, shown_box((down, across), width, height, fit))
        picture = picture[:, :, top : max(bottom, top + 1), left : max(right, left + 1)]
    if fit != "fit":
        return _resized(picture, width, height)
    scale = min(width / across, height / down)
    inside = (max(round(across * scale), 1), max(round(down * scale), 1))
    left, top = (width - inside[0]) // 2, (height - inside[1]) // 2
    canvas = picture.new_full((*picture.shape[:2], height, width), _BORDER)
    canvas[:, :, top : top + inside[1], left : left + inside[0]] = _resized(picture, *inside)
    return canvas


def encode_frames(job: ConditioningJob, frames: Tensor) -> Tensor:
    """(1, 3, T, H, W) in [-1, 1] -> normalised latents (1, C, F, H/8, W/8), float32, on the CPU.

    Raises:
        GenerationFailed: the latents have NaN.
    """
    return encode_chunks(job, frames.split(TEMPORAL_STRIDE, dim=2), frames.shape[2])


def encode_chunks(job: ConditioningJob, chunks: Iterable[Tensor], num_frames: int) -> Tensor:
    """As ``encode_frames``, of ``num_frames`` frames that come in chunks (1, 3, any, H, W).

    Memory is bounded however long the clip is: a chunk is needed only until the next. In tiles
    (``job.vae_tile``) the device's is; the CPU then keeps all frames.
    """
    request, total, tile = job.request, latent_frames(num_frames), job.vae_tile
    if tile is not None and tile >= max(request.width, request.height):
        tile = None
    working = encoding_bytes(job.spec.vae, request.width, request.height, tile)
    parts: list[Tensor] = []

    def tell(done: float) -> None:
        job.emit(ProgressEvent(stage=Stage.ENCODE, step=int(done), total=total, part=Role.VAE))

    with job.source.use(job.spec, Role.VAE, job.emit, working) as vae:
        tell(0)
        if tile is None:
            for part in _encoded(vae, chunks):
                parts.append(part.float().cpu())
                tell(len(parts))
        else:
            parts += _encoded_in_tiles(vae, chunks, tile, lambda share: tell(share * total))
    latents = torch.cat(parts, dim=2)
    if not latents.isfinite().all():
        raise GenerationFailed("The VAE encoded a frame to NaN; try precision fp32.")
    return latents


def embed_pictures(job: ConditioningJob, pictures: Sequence[Tensor]) -> Tensor:
    """Pictures, each (1, 3, h, w) as ``read_picture`` gives them -> image embeds (1, L, D), float32, CPU.

    The rows of the first picture come first. Each picture is squashed to a square, whatever its aspect
    (spec 5).

    Raises:
        GenerationFailed: the embeds have NaN.
    """
    total, rows = len(pictures), []
    with job.source.use(job.spec, Role.IMAGE_ENCODER, job.emit) as encoder:
        for done, picture in enumerate(pictures):
            job.emit(ProgressEvent(stage=Stage.ENCODE, step=done, total=total, part=Role.IMAGE_ENCODER))
            rows.append(_embedded(encoder, picture))
    job.emit(ProgressEvent(stage=Stage.ENCODE, step=total, total=total, part=Role.IMAGE_ENCODER))
    embeds = torch.cat(rows, dim=1)
    if not embeds.isfinite().all():
        raise GenerationFailed("The image encoder produced NaN; try precision fp32.")
    return embeds


def blank_embeds(job: ConditioningJob, pictures: int = 1) -> Tensor:
    """What a model reads where no picture is given: zeros (1, L, D)."""
    encoder = job.spec.image_encoder
    return torch.zeros(1, pictures * encoder.num_tokens, encoder.dim)


def to_pixels(frames: np.ndarray) -> Tensor:
    """(T, H, W, 3), uint8 -> (1, 3, T, H, W), float32 in [-1, 1]: x / 127.5 - 1."""
    return torch.from_numpy(frames.copy()).permute(3, 0, 1, 2)[None].float() / 127.5 - 1


def pixel_chunks(frames: np.ndarray) -> Iterator[Tensor]:
    """``to_pixels`` of four frames at a time: the whole clip never is in float32."""
    for start in range(0, len(frames), TEMPORAL_STRIDE):
        yield to_pixels(frames[start : start + TEMPORAL_STRIDE])


def load_clip(job: ConditioningJob, given: Given, num_frames: int) -> np.ndarray:
    """The chosen part of a kept video, (T, H, W, 3), uint8, at the request's rate, size and fit.

    A part that is too short holds its last frame.

    Raises:
        MediaError: it is gone, damaged, or has nothing in that part.
    """
    request = job.request
    stream = stream_clip(
        job.inputs.path(given.name), request.video_start, request.video_end, request.fps, num_frames
    )
    frames = (cut(frame, given.part) for frame in stream.frames)
    fitted = fit_frames(frames, request.width, request.height, request.fit)
    return fit_length(fitted, num_frames)


@torch.inference_mode()
def _encoded(vae: torch.nn.Module, chunks: Iterable[Tensor]) -> Iterator[Tensor]:
    weight, device = next(vae.parameters()), device_of(vae)
    yield from vae.encode_stream(chunk.to(device, weight.dtype) for chunk in chunks)


@torch.inference_mode()
def _encoded_in_tiles(
    vae: torch.nn.Module, chunks: Iterable[Tensor], tile: int, tell: Callable[[float], None]
) -> list[Tensor]:
    weight = next(vae.parameters())
    return [part.float().cpu() for part in encode_tiles(vae, chunks, tile, weight, tell)]


@torch.inference_mode()
def _embedded(encoder: torch.nn.Module, picture: Tensor) -> Tensor:
    pixels = clip_pixels(picture, encoder.config.image_size)
    return encoder(pixels.to(device_of(encoder))).float().cpu()


def _resized(picture: Tensor, width: int, height: int) -> Tensor:
    if picture.shape[2:] == (height, width):
        return picture
    return F.interpolate(picture, size=(height, width), mode="bicubic", align_corners=False)
