"""The causal 3D VAE of Wan2.1 (spec 3), with the official attribute names.

Whole clips and streams run the same code: a clip is a stream of one chunk. Streaming needs memory for
four frames, however long the clip is.

Shape legend: B batch, T frames (4n+1), t latent frames (n+1), H W pixels, h w latent grid (1/8 of it).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from wan_core.models.vae.blocks import (
    CausalConv3d,
    ChannelNorm,
    Downsample,
    FrameAttention,
    ResidualBlock,
    Upsample,
)
from wan_core.models.vae.config import LATENTS_MEAN, LATENTS_STD, TEMPORAL_STRIDE, VAEConfig
from wan_core.models.vae.order import order_weights
from wan_core.models.vae.pairs import computes_pairs
from wan_core.models.vae.products import product_dtype
from wan_core.models.vae.stream import StreamState, fresh

_SMALL_PICTURE = 2**19  # pixels; there a second frame takes less than plans set aside for workspaces
_FEW_CELLS = 2**10  # of the latent grid; so many are as much work as a weight is worth
_MOST_TOGETHER = 4  # latent frames, 16 of the clip
_TIME_STRIDED = (False, True, True)  # which of the three resamplings also change the frame rate


class CausalStack(nn.Module):
    """Parts run in order, all but those of a single pixel with the stream's state."""

    @staticmethod
    def run(parts: Iterable[nn.Module], x: Tensor, state: StreamState | None) -> Tensor:
        for part in parts:
            if isinstance(part, ChannelNorm):
                x = part(x, fresh if state is None else state.room)
            elif not isinstance(part, nn.Identity):
                x = part(x, state)
        return x

    @classmethod
    def run_by_frame(cls, parts: Sequence[nn.Module], x: Tensor, state: StreamState | None) -> Tensor:
        """As ``run``; in a stream the frames go one by one: the same numbers in a quarter of the memory.

        It is for parts that change no frame rate, where pictures are widest. Small pictures on a CPU go in
        pairs, which its convolutions make with fewer products.
        """
        if state is None:
            return cls.run(parts, x, None)
        together = 2 if computes_pairs(x) and x[0, 0, 0].numel() <= _SMALL_PICTURE else 1
        return torch.cat([cls.run(parts, frame, state) for frame in x.split(together, dim=2)], dim=2)


class Encoder(CausalStack):
    """Frames to moments: (B, 3, T, H, W) -> (B, 2*z, t, h, w), before ``conv1``."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths = [config.dim * m for m in (1, *config.dim_mult)]
        self.conv1 = CausalConv3d(3, widths[0], 3)
        stages: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(widths)):
            for n in range(config.num_res_blocks):
                stages.append(ResidualBlock(before if n == 0 else after, after))
            if i < len(_TIME_STRIDED):
                stages.append(Downsample(after, _TIME_STRIDED[i]))
        timed = [i for i, stage in enumerate(stages) if isinstance(stage, Downsample) and stage.time_conv]
        self.full_rate = timed[0]  # before this one the clip has the frame rate that it came with
        self.downsamples = nn.Sequential(*stages)
        self.middle = _middle(widths[-1])
        self.head = nn.Sequential(
            ChannelNorm(widths[-1], silu=True), nn.Identity(), CausalConv3d(widths[-1], config.z_dim * 2, 3)
        )

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        head = [self.conv1, *self.downsamples[: self.full_rate]]
        x = self.run(self.downsamples[self.full_rate :], self.run_by_frame(head, x, state), state)
        return self.finish(x, state)

    def finish(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """What comes after the last downsampling, on the latent grid: the part that sees whole frames."""
        return self.run([*self.middle, *self.head], x, state)


class Decoder(CausalStack):
    """Latents after ``conv2`` to frames: (B, z, t, h, w) -> (B, 3, T, H, W)."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths = [config.dim * m for m in (config.dim_mult[-1], *config.dim_mult[::-1])]
        self.conv1 = CausalConv3d(config.z_dim, widths[0], 3)
        self.middle = _middle(widths[0])
        stages: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(widths)):
            width = before if i == 0 else before // 2  # the upsampling before it halved the width
            for n in range(config.num_res_blocks + 1):
                stages.append(ResidualBlock(width if n == 0 else after, after))
            if i < len(_TIME_STRIDED):
                stages.append(Upsample(after, _TIME_STRIDED[::-1][i]))
        self.upsamples = nn.Sequential(*stages)
        self.head = nn.Sequential(
            ChannelNorm(widths[-1], silu=True), nn.Identity(), CausalConv3d(widths[-1], 3, 3)
        )
        timed = [i for i, stage in enumerate(stages) if isinstance(stage, Upsample) and stage.time_conv]
        self.full_rate = timed[-1] + 1  # from here on the clip has its final frame rate

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        x = self.run(self.upsamples[: self.full_rate], self.begin(x, state), state)
        return self.run_by_frame([*self.upsamples[self.full_rate :], *self.head], x, state)

    def begin(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """What comes before the first upsampling, on the latent grid: the part that sees whole frames."""
        return self.run([self.conv1, *self.middle], x, state)


def _middle(width: int) -> nn.Sequential:
    return nn.Sequential(ResidualBlock(width, width), FrameAttention(width), ResidualBlock(width, width))


class WanVAE(nn.Module):
    """Encodes frames in [-1, 1] to normalised latents and back.

    Source: spec 3; the latents are scaled as "Scaling" says, so that the DiT sees them directly.
    """

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.conv1 = CausalConv3d(config.z_dim * 2, config.z_dim * 2, 1)
        self.conv2 = CausalConv3d(config.z_dim, config.z_dim, 1)
        self.decoder = Decoder(config)

    def moments(self, frames: Tensor, state: StreamState | None = None) -> tuple[Tensor, Tensor]:
        """(B, 3, T, H, W) -> mean and log-variance, unscaled, each (B, z, t, h, w); for training."""
        frames = frames.contiguous(memory_format=torch.channels_last_3d)
        mean, log_variance = self.conv1(self.encoder(frames, state)).chunk(2, dim=1)
        return mean, log_variance

    def reconstruct(self, z: Tensor, state: StreamState | None = None) -> Tensor:
        """Unscaled latents (B, z, t, h, w) -> frames (B, 3, T, H, W), not clamped; for training."""
        return self.decoder(self.conv2(z.contiguous(memory_format=torch.channels_last_3d)), state)

    def encode(self, frames: Tensor) -> Tensor:
        """Frames (B, 3, T, H, W) in [-1, 1] -> normalised latents (B, z, t, h, w).

        Frames beyond the last 4n+1 are dropped, as the official encoder does. H and W must be
        multiples of 8.

        Raises:
            ValueError: the clip is empty or its size is no multiple of 8.
        """
        length, height, width = frames.shape[2:]
        if length == 0 or height % 8 or width % 8:
            raise ValueError(
                f"a clip of {length} frames of {width}x{height} cannot be encoded; "
                "it needs at least one frame and sides that are multiples of 8"
            )
        whole = (length - 1) // TEMPORAL_STRIDE * TEMPORAL_STRIDE + 1
        mean, _ = self.moments(frames[:, :, :whole])
        return self.normalise(mean)

    def encode_stream(self, chunks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Chunks of frames (B, 3, any, H, W) -> normalised latents (B, z, 1, h, w), one at a time.

        Equal to ``encode`` of all frames; memory does not grow with their number.
        """
        order_weights(self.encoder)
        state = StreamState()
        for group in frame_groups(chunks):
            mean, _ = self.moments(group, state)
            yield self.normalise(mean)

    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents (B, z, t, h, w) -> frames (B, 3, 4t-3, H, W), clamped to [-1, 1]."""
        return self.reconstruct(self.denormalise(latents)).clamp(-1, 1)

    def decode_stream(self, latents: Tensor) -> Iterator[Tensor]:
        """Normalised latents -> frames in order, of one latent frame at a time.

        Yields (B, 3, n, H, W) with n = 1 for the first latent frame and 4 for each other. Equal to
        ``decode``; memory does not grow with the length.
        """
        order_weights(self.decoder)
        state = StreamState()
        first, rest = (z := self.denormalise(latents))[:, :, :1], z[:, :, 1:]
        chunks = rest.split(_together(latents), dim=2) if rest.shape[2] else ()
        for part in (first, *chunks):
            yield from self.reconstruct(part, state).clamp(-1, 1).split(TEMPORAL_STRIDE, dim=2)

    def normalise(self, mean: Tensor) -> Tensor:
        """Unscaled latents -> as the DiT sees them."""
        centre, spread = _scaling(mean)
        return (mean - centre) / spread

    def denormalise(self, latents: Tensor) -> Tensor:
        """Latents as the DiT sees them -> unscaled."""
        centre, spread = _scaling(latents)
        return latents * spread + centre


def _together(latents: Tensor) -> int:
    """How many latent frames of a grid go through a CPU at a time, which shares the handling of weights."""
    grid, widened = latents[0, 0, 0].numel(), product_dtype(latents) != latents.dtype
    most = _MOST_TOGETHER // 2 if widened else _MOST_TOGETHER  # products in float32 need more room
    return min(max(_FEW_CELLS // grid, 1), most) if computes_pairs(latents) else 1


def _scaling(like: Tensor) -> tuple[Tensor, Tensor]:
    """The official latents' mean and standard deviation, shaped (1, z, 1, 1, 1)."""
    shape = (1, -1, 1, 1, 1)
    return (like.new_tensor(LATENTS_MEAN).view(shape), like.new_tensor(LATENTS_STD).view(shape))


def frame_groups(chunks: Iterable[Tensor]) -> Iterator[Tensor]:
    """Regroup frames as 1, 4, 4, ...; what is left over at the end is dropped."""
    pending: Tensor | None = None
    wanted = 1
    for chunk in chunks:
        pending = chunk if pending is None else torch.cat([pending, chunk], dim=2)
        while pending.shape[2] >= wanted:
            yield pending[:, :, :wanted]
            pending = pending[:, :, wanted:]
            wanted = TEMPORAL_STRIDE
