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
# The same of ``encode_stream``, four frames at a time: 9 100 bytes for each pixel.
_ENCODING_BYTES_PER_PIXEL = 9_700
# In tiles: what the widest layers read on either side of a tile, in pixels, and what the layers take that see
# whole frames, on the latent grid.
_DECODING_MARGIN, _ENCODING_MARGIN = 14, 62
_WHOLE_BYTES_PER_PIXEL = 500
_CONVOLUTION_WORKSPACE = 2**30  # what cuDNN may take besides

SMALLEST_TILE = 64
"""Side in pixels; a smaller tile is mostly margin."""


@dataclass(frozen=True)
class VAEConfig:
    """Sizes of a Wan VAE (spec 3): stage widths are ``dim`` times each of ``dim_mult``."""

    dim: int = 96
    z_dim: int = 16
    dim_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2


def decoding_bytes(config: VAEConfig, width: int, height: int, tile: int | None = None) -> int:
    """Device memory that decoding a clip of this size in pixels takes beside the weights.

    ``tile`` is the side in pixels of the tiles that it is decoded in; None is the whole picture.
    """
    worked_on = _worked_on(width, height, tile, _DECODING_MARGIN) * _STREAM_BYTES_PER_PIXEL
    whole = width * height * _WHOLE_BYTES_PER_PIXEL
    return max(worked_on, whole) * config.dim // VAEConfig.dim + _CONVOLUTION_WORKSPACE


def encoding_bytes(config: VAEConfig, width: int, height: int, tile: int | None = None) -> int:
    """Device memory that encoding a clip of this size in pixels takes beside the weights; as for decoding."""
    worked_on = _worked_on(width, height, tile, _ENCODING_MARGIN) * _ENCODING_BYTES_PER_PIXEL
    whole = width * height * _WHOLE_BYTES_PER_PIXEL
    return max(worked_on, whole) * config.dim // VAEConfig.dim + _CONVOLUTION_WORKSPACE


def tile_count(side: int, tile: int) -> int:
    """Into how many tiles of at most ``tile`` pixels a side of a picture is cut."""
    return -(-(side // SPATIAL_STRIDE) // (tile // SPATIAL_STRIDE))


def halved_tiles(tile: int) -> list[int]:
    """A side of tiles, and its halves down to the smallest; none if it is smaller itself."""
    return [tile >> times for times in range(tile.bit_length()) if tile >> times >= SMALLEST_TILE]


def _worked_on(width: int, height: int, tile: int | None, margin: int) -> int:
    """Pixels that are worked on at a time: those of a tile, and a margin where another tile is beside it."""
    if tile is None:
        return width * height
    worked = 1
    for side in (width, height):
        count = tile_count(side, tile)
        worked *= min(-(-side // count) + min(count - 1, 2) * margin, side)
    return worked


def latent_frames(num_frames: int) -> int:
    """Latent frames of a clip of 4n+1 frames: n+1."""
    return (num_frames - 1) // TEMPORAL_STRIDE + 1
