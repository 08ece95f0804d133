"""Small moving previews of latents: by a tiny decoder where there is one, else by a linear map to colours."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wan_core.media.write import animated_webp
from wan_core.models.vae.config import SPATIAL_STRIDE, TEMPORAL_STRIDE
from wan_core.ops.out_of_memory import is_out_of_memory
from wan_core.schema import WeightsError

log = logging.getLogger(__name__)

PREVIEW_SIDE = 256  # pixels; previews are enlarged by a whole factor to at least this long side
DECODED_SIDE = 512  # pixels; what the tiny decoder makes is made smaller by a whole factor to at most this
TABLE_FILE = "latent_rgb.json"  # beside a VAE's weights: {"factors": C rows of (r, g, b), "bias": (r, g, b)}


@dataclass(frozen=True)
class LatentRGB:
    """rgb = latents · factors + bias, in [-1, 1]; one row of ``factors`` per latent channel."""

    factors: tuple[tuple[float, float, float], ...]
    bias: tuple[float, float, float]

    @classmethod
    def read(cls, path: Path, channels: int) -> LatentRGB:
        """The table in a ``latent_rgb.json``, for latents of so many channels.

        Raises:
            WeightsError: the file is no such table.
        """
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            rows = tuple(tuple(float(value) for value in row) for row in (*table["factors"], table["bias"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"{path.name} is no table of preview colours; remove it.") from error
        if len(rows) != channels + 1 or any(len(row) != 3 for row in rows):
            raise WeightsError(
                f"{path.name} is no table of preview colours for {channels} latent channels; remove it."
            )
        return cls(rows[:-1], rows[-1])


# A fit of the official VAE's decoder, per normalised latent channel; the values in common use.
OFFICIAL_LATENT_RGB = LatentRGB(
    factors=(
        (-0.1299, -0.1692, 0.2932), (0.0671, 0.0406, 0.0442), (0.3568, 0.2548, 0.1747),
        (0.0372, 0.2344, 0.1420), (0.0313, 0.0189, -0.0328), (0.0296, -0.0956, -0.0665),
        (-0.3477, -0.4059, -0.2925), (0.0166, 0.1902, 0.1975), (-0.0412, 0.0267, -0.1364),
        (-0.1293, 0.0740, 0.1636), (0.0680, 0.3019, 0.1128), (0.0032, 0.0581, 0.0639),
        (-0.1251, 0.0927, 0.1699), (0.0060, -0.0633, 0.0005), (0.3477, 0.2275, 0.2950),
        (0.1984, 0.0913, 0.1861),
    ),
    bias=(-0.1835, -0.0868, -0.3360),
)  # fmt: skip


@torch.inference_mode()
def latents_to_rgb(latents: Tensor, table: LatentRGB) -> np.ndarray:
    """Latents (1, C, F, H, W) -> small pictures (F, H, W, 3) uint8."""
    factors = latents.new_tensor(table.factors)
    rgb = torch.einsum("cfhw,cr->fhwr", latents[0], factors) + latents.new_tensor(table.bias)
    return ((rgb.clamp(-1, 1) + 1) / 2 * 255).nan_to_num().to(torch.uint8).cpu().numpy()


@torch.inference_mode()
def decode_small(latents: Tensor, decoder: nn.Module) -> np.ndarray:
    """Latents (1, C, F, H, W) -> the last frame that each latent frame stands for, (F, H', W', 3) uint8, made
    smaller so that its long side is at most ``DECODED_SIDE``.
    """
    factor = max(-(-SPATIAL_STRIDE * max(latents.shape[3:]) // DECODED_SIDE), 1)
    pictures = [F.avg_pool2d(frames[-1:], factor) for frames in decoder(latents)]
    rgb = torch.cat(pictures).permute(0, 2, 3, 1).float()
    return (rgb * 255).nan_to_num().round().to(torch.uint8).cpu().numpy()


class Previews:
    """Draws previews of one job.

    Args:
        table: colours of latent channels; None draws nothing without a decoder.
        decoder: draws them better; where the device has no room for it, the table does.
    """

    def __init__(self, table: LatentRGB | None, decoder: nn.Module | None) -> None:
        self._table, self._decoder = table, decoder

    def draw(self, latents: Tensor, fps: int) -> bytes | None:
        """Latents (1, C, F, H, W) -> a looping WebP that moves as fast as the clip of ``fps`` will."""
        pictures = self._decoded(latents)
        if pictures is None:
            if self._table is None:
                return None
            pictures = latents_to_rgb(latents, self._table)
        factor = max(-(-PREVIEW_SIDE // max(pictures.shape[1:3])), 1)
        enlarged = pictures.repeat(factor, axis=1).repeat(factor, axis=2)
        return animated_webp(enlarged, round(1000 * TEMPORAL_STRIDE / fps))

    def _decoded(self, latents: Tensor) -> np.ndarray | None:
        if self._decoder is None:
            return None
        try:
            return decode_small(latents, self._decoder)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            log.warning("There is no room for the tiny decoder; previews are of latent colours")
            self._decoder = None
            return None
