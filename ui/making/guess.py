"""A first guess of how long a video takes, until the store has learnt it from finished ones."""

from __future__ import annotations

from wan_core.acceleration.levels import expected_part
from wan_core.acceleration.windows import frames_seen, kept_windows, seen_at_once
from wan_core.catalog import ModelSpec
from wan_core.media.finishing import finished_fps, interpolated_count
from wan_core.models.vae.config import latent_frames
from wan_core.schema import GenerationRequest
from wan_core.schema.windows import WindowOptions

_FLOPS_PER_SECOND = (
    ("CPU", 0.05e12),
    ("MPS", 3e12),
    ("H100", 350e12),
    ("H200", 350e12),
    ("H800", 350e12),
    ("A100", 195e12),
    ("A800", 195e12),
)
"""Part of a device's name -> what the official code reaches on it, to the order of magnitude."""

_ANY_GPU = 100e12
_STEP_SECONDS = 0.05
"""What a pass through the model takes at the least, however small it is."""

_BYTES_PER_WEIGHT = 4
"""In the file of an upscaler, which uses each weight for every pixel that it is given."""

_DECODE_FLOPS, _DECODE_DIM = 8.5e6, 96
"""Decoding one pixel with the official VAE (275 TFLOP for 81 frames of 832x480), and its width."""


def guess_seconds(request: GenerationRequest, spec: ModelSpec, device: str) -> float | None:
    """Seconds that a request with all its numbers takes on a device of this name; None without a name."""
    if not device:
        return None
    speed = _speed_of(device)
    steps, total = request.steps_taken(request.num_inference_steps), latent_frames(request.num_frames)
    part = 1.0
    if kept_windows(_windows(request, spec), total):
        part = expected_part(request.step_cache, request.step_cache_threshold, steps)
    passes = steps * part * request.mean_passes(steps, request.guidance_scale)
    return (
        passes * (forward_flops(request, spec) / speed + _STEP_SECONDS) + decode_flops(request, spec) / speed
    )


def guess_upscaling(request: GenerationRequest, file_bytes: int, device: str) -> float:
    """Seconds that an upscaler of this size takes beside that, which no earlier video tells."""
    frames = interpolated_count(request.num_frames, request.fps, finished_fps(request.fps, request))
    pixels = frames * request.width * request.height
    return file_bytes / _BYTES_PER_WEIGHT * 2 * pixels / _speed_of(device) if device else 0.0


def _speed_of(device: str) -> float:
    return next((flops for name, flops in _FLOPS_PER_SECOND if name in device.upper()), _ANY_GPU)


def forward_flops(request: GenerationRequest, spec: ModelSpec) -> float:
    """Floating-point operations of one pass through the DiT: its linear layers and both attentions.

    A VACE model has a block more, and a layer from it to the main ones, for each that it steers. References
    are frames of their own, and so is the video that is rendered again. Through windows, it is that of all.
    """
    dit, windows = spec.dit, _windows(request, spec)
    of_time, of_height, of_width = dit.patch_size
    total = latent_frames(request.num_frames)
    seen = seen_at_once(windows, total)
    count = 1 if windows is None else frames_seen(windows, total) / seen
    frames = seen * (2 if dit.camera_path_dim else 1) + len(request.references)
    cells = frames * (request.height // 8) * (request.width // 8)
    tokens = cells / (of_time * of_height * of_width)
    linear = tokens * (6 * dit.dim**2 + 2 * dit.dim * dit.ffn_dim) + dit.text_len * 2 * dit.dim**2
    attention = 2 * tokens * (tokens + dit.text_len) * dit.dim
    side = len(dit.vace_layers)
    return count * 2 * ((dit.num_layers + side) * (linear + attention) + side * tokens * dit.dim**2)


def _windows(request: GenerationRequest, spec: ModelSpec) -> WindowOptions | None:
    """The windows of a request that may leave their length to the model."""
    return request.windows and request.windows.settled(spec.defaults.num_frames)


def decode_flops(request: GenerationRequest, spec: ModelSpec) -> float:
    """Floating-point operations of decoding the latents; they grow with the square of the VAE's width."""
    pixels = request.num_frames * request.height * request.width
    return pixels * _DECODE_FLOPS * (spec.vae.dim / _DECODE_DIM) ** 2
