"""A tiny decoder for Wan's latents: previews in seconds, where the real decoder takes minutes.

It is TAEHV's, whose weights Ollin Boer Bohan trains to match the official VAE. Per latent frame it looks one
frame back only, so a clip streams through it frame by frame in little memory.

Shape legend: T frames, C channels, H and W height and width in latent pixels.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wan_core.models.tiny_vae.checkpoint import GROWING, TinyDecoderConfig

_CLAMP = 3.0
_BLOCKS = 3
_EARLY_FRAMES = 3
"""The first latent frame stands for one frame, but four come out: the first three are before the clip."""

Seen = dict[nn.Module, Tensor]
"""What each block saw of the frame before."""


class _Squash(nn.Module):
    """Keeps latents within ±3, softly."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / _CLAMP) * _CLAMP


class _MemoryBlock(nn.Module):
    """Three convolutions over a frame and the one before it, added to the frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers = [_conv(2 * width, width), nn.ReLU(), _conv(width, width), nn.ReLU(), _conv(width, width)]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor, seen: Seen) -> Tensor:
        before = torch.cat([seen.get(self, torch.zeros_like(x[:1])), x[:-1]])
        seen[self] = x[-1:]
        return F.relu(self.conv(torch.cat([x, before], dim=1)) + x)


class _Grow(nn.Module):
    """Makes ``factor`` frames of each."""

    def __init__(self, width: int, factor: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width * factor, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).reshape(-1, *x.shape[1:])


class TinyDecoder(nn.Module):
    """Normalised latents to frames, 8 times as wide and high; bears the tensor names of TAEHV's files."""

    def __init__(self, config: TinyDecoderConfig) -> None:
        super().__init__()
        first, *others = config.widths
        layers: list[nn.Module] = [_Squash(), _conv(config.latent_channels, first), nn.ReLU()]
        for width, following, factor in zip(config.widths, others, GROWING.values(), strict=False):
            layers += [_MemoryBlock(width) for _ in range(_BLOCKS)]
            layers += [nn.Upsample(scale_factor=2), _Grow(width, factor)]
            layers += [_conv(width, following, bias=False)]
        layers += [nn.ReLU(), _conv(config.widths[-1], 3)]
        self.decoder = nn.Sequential(*layers)

    def forward(self, latents: Tensor) -> Iterator[Tensor]:
        """Latents (1, C, T, H, W), normalised as the transformer has them -> for each latent frame its frames
        (1 or 4, 3, 8H, 8W) in [0, 1].
        """
        weight = self.decoder[1].weight
        seen: Seen = {}
        for index, latent in enumerate(latents[0].transpose(0, 1)):
            x = latent[None].to(weight)
            for layer in self.decoder:
                x = layer(x, seen) if isinstance(layer, _MemoryBlock) else layer(x)
            yield (x if index else x[_EARLY_FRAMES:]).clamp(0, 1)


def _conv(channels: int, wanted: int, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(channels, wanted, 3, padding=1, bias=bias)
