"""Shape of a Wan VAE. Imports no torch, so that the catalog can hold it."""

from __future__ import annotations

from dataclasses import dataclass

# Spec 3, "Scaling": mean and standard deviation of the official latents, per channel.
LATENTS_MEAN = (
    -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
    0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
)  # fmt: skip
LATENTS_STD = (
    2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
    3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
)  # fmt: skip

TEMPORAL_STRIDE = 4
SPATIAL_STRIDE = 8

# Peak of live tensors in ``decode_stream`` of the official VAE in float32, one latent frame at a time:
# 5.1 GiB at 832x480 and 11.4 GiB at 1280x720, that is 13 700 bytes for each pixel; it grows with ``dim``.
_STREAM_BYTES_PER_PIXEL = 14_000
# The same of ``encode_stream``, four frames at a time, by the ratio of what the two hold at their peaks.
_ENCODING_BYTES_PER_PIXEL = 10_000
_CONVOLUTION_WORKSPACE = 2**30  # what cuDNN may take besides


@dataclass(frozen=True)
class VAEConfig:
    """Sizes of a Wan VAE (spec 3): stage widths are ``dim`` times each of ``dim_mult``."""

    dim: int = 96
    z_dim: int = 16
    dim_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2


def decoding_bytes(config: VAEConfig, width: int, height: int) -> int:
    """Device memory that decoding a clip of this size in pixels takes beside the weights."""
    return _STREAM_BYTES_PER_PIXEL * width * height * config.dim // VAEConfig.dim + _CONVOLUTION_WORKSPACE


def encoding_bytes(config: VAEConfig, width: int, height: int) -> int:
    """Device memory that encoding a clip of this size in pixels takes beside the weights."""
    return _ENCODING_BYTES_PER_PIXEL * width * height * config.dim // VAEConfig.dim + _CONVOLUTION_WORKSPACE


def latent_frames(num_frames: int) -> int:
    """Latent frames of a clip of 4n+1 frames: n+1."""
    return (num_frames - 1) // TEMPORAL_STRIDE + 1
