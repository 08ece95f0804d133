"""Parts of the causal video VAE (spec 3).

Every part that looks back in time takes a ``StreamState``. Fed a clip in chunks with one state, a part
returns the same frames as fed the whole clip at once: the first call starts from nothing, later calls
continue. ``None`` means that nothing follows, so nothing is kept.

Shape legend: B batch, C channels, T frames, H and W picture height and width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

StreamState = dict[nn.Module, Tensor]

_PAIRED_PIXELS = 1024  # of a frame; below, sums of taps cost what they save


def _continue(module: nn.Module, x: Tensor, context: int, state: StreamState | None) -> Tensor:
    """``x`` with up to ``context`` earlier frames before it; remembers the last ones for the next call.

    What is remembered is a copy, as a view would keep the whole chunk in memory; later ones take its place.
    """
    if state is None:
        return x
    kept = state.get(module)
    if kept is not None:
        x = torch.cat([kept, x], dim=2)
    last = x[:, :, -context:]
    if kept is not None and kept.shape == last.shape:
        kept.copy_(last)
    else:
        state[module] = last.clone()
    return x


class CausalConv3d(nn.Conv3d):
    """3D convolution that sees no later frame: zero frames before the clip, none after it."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int | tuple[int, int, int]) -> None:
        super().__init__(in_channels, out_channels, kernel)
        self.context = self.kernel_size[0] - 1
        self.margin = (self.kernel_size[1] // 2, self.kernel_size[2] // 2)

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """(B, C, T, H, W) -> (B, C', T, H, W)."""
        new = x.shape[2]
        if self.context:
            x = _continue(self, x, self.context, state)
        missing = self.context - (x.shape[2] - new)
        if x.shape[2] == 1 and missing == self.context:  # a first frame alone meets only the last tap
            frame = F.conv2d(x[:, :, 0], self.weight[:, :, -1], self.bias, padding=self.margin)
            return frame.unsqueeze(2)
        if missing:
            x = F.pad(x, (0, 0, 0, 0, missing, 0))
        if self._gains_by_pairs(x):
            return self._in_pairs(x)
        return F.conv3d(x, self.weight, self.bias, padding=(0, *self.margin))

    def _gains_by_pairs(self, x: Tensor) -> bool:
        """Whether products take most of the time, and sums of frames and taps lose next to nothing."""
        exact = x.dtype == torch.float32 and x.device.type == "cpu" and not torch.is_grad_enabled()
        even = x.shape[2] > self.context and x.shape[2] % 2 == 0
        return exact and even and self.kernel_size == (3, 3, 3) and x[0, 0, 0].numel() >= _PAIRED_PIXELS

    def _in_pairs(self, x: Tensor) -> Tensor:
        """(B, C, T + 2, H, W) -> (B, C', T, H, W), with four convolutions of frames for each two frames made.

        Of the frames a, b, c, d and the taps f, g, h two frames follow, fa + gb + hc and fb + gc + hd. They
        are p + q + f(a - c) and p - q + h(d - b), with p = (f + g + h)/2 (b + c), q = (f - g + h)/2 (c - b)
        (Winograd): the same numbers up to rounding, from four products instead of six.
        """
        batch, length = x.shape[0], x.shape[2] - 3
        a, b, c, d = (to_frames(x[:, :, start : start + length : 2]) for start in range(4))
        before, now, after = self.weight.unbind(2)
        outer, inner = (before + after).mul_(0.5), now * 0.5
        p = F.conv2d(b + c, outer + inner, self.bias, padding=self.margin)
        q = F.conv2d(c - b, outer.sub_(inner), padding=self.margin)
        channels, *size = p.shape[1:]
        made = x.new_empty(batch, length + 1, *size, channels).permute(0, 4, 1, 2, 3)
        first = F.conv2d(a - c, before, padding=self.margin).add_(p).add_(q)
        made[:, :, 0::2] = to_clip(first, batch)
        second = F.conv2d(d - b, after, padding=self.margin).add_(p.sub_(q))
        made[:, :, 1::2] = to_clip(second, batch)
        return made


class ChannelNorm(nn.Module):
    """x / |x| over channels, times sqrt(C) and a weight; ``spatial_dims`` is 3 for clips, 2 for frames."""

    def __init__(self, channels: int, spatial_dims: int = 3) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, *(1,) * spatial_dims))
        self.scale = channels**0.5

    def forward(self, x: Tensor) -> Tensor:
        length = x.square().sum(dim=1, keepdim=True).clamp_min(1e-24).rsqrt()
        return x * (length * self.scale) * self.gamma


class ResidualBlock(nn.Module):
    """Norm, SiLU, convolution, twice; the input is added, through a 1x1x1 convolution if widths differ."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            ChannelNorm(in_channels),
            nn.SiLU(),
            CausalConv3d(in_channels, out_channels, 3),
            ChannelNorm(out_channels),
            nn.SiLU(),
            nn.Identity(),  # the official place of a dropout that is never used
            CausalConv3d(out_channels, out_channels, 3),
        )
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else CausalConv3d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        h = self.shortcut(x)
        for part in self.residual:
            x = part(x, state) if isinstance(part, CausalConv3d) else part(x)
        return x + h


class FrameAttention(nn.Module):
    """Single-head self-attention inside each frame."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels, spatial_dims=2)
        self.to_qkv = nn.Conv2d(channels, channels * 3, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        del state  # looks at one frame at a time
        frames = to_frames(x)
        qkv = self.to_qkv(self.norm(frames)).flatten(2).transpose(1, 2)
        q, k, v = qkv.unsqueeze(1).contiguous().chunk(3, dim=-1)
        mixed = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2)
        mixed = self.proj(mixed.unflatten(2, frames.shape[2:]))
        return x + to_clip(mixed, x.shape[0])


class Downsample(nn.Module):
    """Halves the picture and, with ``time``, the frame rate: frame 0 stays alone, others join in pairs."""

    def __init__(self, channels: int, time: bool) -> None:
        super().__init__()
        self.resample = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(channels, channels, 3, stride=2))
        self.time_conv = nn.Conv3d(channels, channels, (3, 1, 1), stride=(2, 1, 1)) if time else None

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        x = to_clip(self.resample(to_frames(x)), x.shape[0])
        if self.time_conv is None:
            return x
        first = None if state is not None and self in state else x[:, :, :1]
        x = _continue(self, x, 1, state)
        if x.shape[2] == 1:
            return x
        x = self.time_conv(x)
        return x if first is None else torch.cat([first, x], dim=2)


class DoublingConv(nn.Conv2d):
    """A 3x3 convolution of the picture with every pixel doubled, which is never made.

    Of the nine pixels that it would read only four differ: each output is a 2x2 convolution of the small
    picture, one of four by the place in its pair of rows and columns. That is 4/9 of the products.
    """

    def forward(self, frames: Tensor, state: StreamState | None = None) -> Tensor:
        """(n, C, H, W) -> (n, C', 2 H, 2 W)."""
        height, width = frames.shape[2:]
        doubled = frames.new_empty(len(frames), 2 * height, 2 * width, self.out_channels).permute(0, 3, 1, 2)
        kernels = self._kernels() if state is None or self not in state else state[self]
        if state is not None:
            state[self] = kernels  # the same for all frames of a clip
        for row in (0, 1):
            for column in (0, 1):
                made = F.conv2d(frames, kernels[row, column], self.bias, padding=1)
                place = slice(row, row + height), slice(column, column + width)
                doubled[:, :, row::2, column::2] = made[:, :, *place]
        return doubled

    def _kernels(self) -> Tensor:
        """(row, column, C', C, 2, 2): the kernel of each place in the pair."""
        taps = self.weight.new_tensor(_TAPS, dtype=torch.float32)
        return torch.einsum("iak,jbl,ockl->ijocab", taps, taps, self.weight.float()).to(self.weight.dtype)


# [place in the pair][pixel of the small picture][tap]: which taps of a doubled axis read which pixel
_TAPS = (((1, 0, 0), (0, 1, 1)), ((1, 1, 0), (0, 0, 1)))


class Upsample(nn.Module):
    """Doubles the picture, halves the width and, with ``time``, doubles the frame rate after frame 0."""

    def __init__(self, channels: int, time: bool) -> None:
        super().__init__()
        self.resample = nn.Sequential(
            nn.Identity(),  # the official place of the doubling
            DoublingConv(channels, channels // 2, 3, padding=1),
        )
        self.time_conv = CausalConv3d(channels, channels * 2, (3, 1, 1)) if time else None

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        if self.time_conv is not None:
            x = self._double_rate(x, state)
        _, enlarge = self.resample
        return to_clip(enlarge(to_frames(x), state), x.shape[0])

    def _double_rate(self, x: Tensor, state: StreamState | None) -> Tensor:
        """Frame 0 passes alone and is no context for the others: they start from zero frames."""
        started = state is not None and self in state
        if state is not None and not started:
            state[self] = x.new_empty(0)  # a marker: the first frame has passed
        first, rest = (x[:, :, :0], x) if started else (x[:, :, :1], x[:, :, 1:])
        if rest.shape[2] == 0:
            return first
        earlier, later = self.time_conv(rest, state).chunk(2, dim=1)
        rest = torch.stack([earlier, later], dim=3).flatten(2, 3)
        return rest if started else torch.cat([first, rest], dim=2)


def to_frames(x: Tensor) -> Tensor:
    """(B, C, T, H, W) -> (B*T, C, H, W)."""
    return x.transpose(1, 2).flatten(0, 1)


def to_clip(frames: Tensor, batch: int) -> Tensor:
    """(B*T, C, H, W) -> (B, C, T, H, W)."""
    return frames.unflatten(0, (batch, -1)).transpose(1, 2)
