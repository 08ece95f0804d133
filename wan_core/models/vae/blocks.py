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

from wan_core.models.vae.order import from_rows, to_clip, to_frames, to_rows
from wan_core.models.vae.pairs import convolve_pairs, gains_by_pairs, pair_kernels
from wan_core.models.vae.products import convolve, product_dtype
from wan_core.models.vae.stream import Room, StreamState, fresh

_CACHED = 2**18  # numbers; in float32 they are 1 MB, which stays near a core
_KEPT = 2**21  # bytes of a weight; kernels of larger ones cost little beside the products they are used for


def _continue(module: nn.Module, x: Tensor, context: int, state: StreamState | None) -> Tensor:
    """``x`` with up to ``context`` earlier frames before it; remembers the last ones for the next call."""
    if state is None:
        return x
    if module in state:
        x = torch.cat([state[module], x], dim=2)
    _remember(module, x, context, state)
    return x


def _remember(module: nn.Module, x: Tensor, context: int, state: StreamState) -> None:
    """Keep a copy of the last frames, as a view would keep the whole chunk; later ones take its place."""
    kept, last = state.get(module), x[:, :, -context:]
    if kept is not None and kept.shape == last.shape:
        kept.copy_(last)
    else:
        state[module] = last.clone()


def _pair_kernels(weight: nn.Parameter, dtype: torch.dtype, state: StreamState | None) -> Tensor:
    """Of a convolution in pairs: kept for the length of a stream, unless they are large."""
    if state is None:
        return pair_kernels(weight, dtype)
    if weight.numel() * dtype.itemsize > _KEPT:
        return pair_kernels(weight, dtype, state.room)
    if weight not in state:
        state[weight] = pair_kernels(weight, dtype)
    return state[weight]


class CausalConv3d(nn.Conv3d):
    """3D convolution that sees no later frame: zero frames before the clip, none after it."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int | tuple[int, int, int]) -> None:
        super().__init__(in_channels, out_channels, kernel)
        self.context = self.kernel_size[0] - 1
        self.margin = (self.kernel_size[1] // 2, self.kernel_size[2] // 2)

    def forward(self, x: Tensor, state: StreamState | None = None, room: Room = fresh) -> Tensor:
        """(B, C, T, H, W) -> (B, C', T, H, W); a result on a CPU may lie in ``room``."""
        if gains_by_pairs(x, self.kernel_size):
            return self._in_pairs(x, state, room)
        new = x.shape[2]
        if self.context:
            x = _continue(self, x, self.context, state)
        missing = self.context - (x.shape[2] - new)
        if x.shape[2] == 1 and missing == self.context:  # a first frame alone meets only the last tap
            last = self.weight[:, :, -1]
            return convolve(F.conv2d, x[:, :, 0], last, self.bias, padding=self.margin).unsqueeze(2)
        if missing:
            x = F.pad(x, (0, 0, 0, 0, missing, 0))
        return convolve(F.conv3d, x, self.weight, self.bias, padding=(0, *self.margin))

    def _in_pairs(self, x: Tensor, state: StreamState | None, room: Room) -> Tensor:
        new = x.unbind(2)
        earlier = state[self].unbind(2) if state is not None and self in state else ()
        missing = [torch.zeros_like(new[0])] * (self.context - len(earlier))
        kernels = _pair_kernels(self.weight, product_dtype(x), state)
        made = convolve_pairs([*missing, *earlier, *new], kernels, self.bias, self.margin, room)
        if state is not None:
            _remember(self, x, self.context, state)
        return made


class ChannelNorm(nn.Module):
    """x / |x| over channels, times sqrt(C) and a weight, and where ``silu`` says so SiLU of that.

    ``spatial_dims`` is 3 for clips, 2 for frames: the shape of the official weight.
    """

    def __init__(self, channels: int, spatial_dims: int = 3, silu: bool = False) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, *(1,) * spatial_dims))
        self.scale = channels**0.5
        self.silu = silu

    def forward(self, x: Tensor, room: Room = fresh) -> Tensor:
        """(B, C, ..., H, W) -> the same shape; on a CPU in pieces, in float32 at least, in ``room``."""
        rows = to_rows(x)
        if x.device.type != "cpu" or torch.is_grad_enabled():
            return from_rows(self._finish(rows * self._factors(rows)))
        out = room("normed", rows.shape, x.dtype)
        few = max(_CACHED // rows.shape[-1], 1)
        wide = room("piece", (few, rows.shape[-1]), torch.promote_types(x.dtype, torch.float32))
        for piece, made in zip(rows.flatten(0, -2).split(few), out.flatten(0, -2).split(few), strict=True):
            part = wide[: len(piece)].copy_(piece)
            made.copy_(self._finish(part.mul_(self._factors(part))))
        return from_rows(out)

    def _factors(self, rows: Tensor) -> Tensor:
        """(..., C) -> (..., 1): what makes them sqrt(C) long."""
        return self.scale / torch.linalg.vector_norm(rows, dim=-1, keepdim=True).clamp_min(1e-12)

    def _finish(self, rows: Tensor) -> Tensor:
        rows = rows.mul_(self.gamma.flatten())
        return F.silu(rows, inplace=True) if self.silu else rows


class ResidualBlock(nn.Module):
    """Norm, SiLU, convolution, twice; the input is added, through a 1x1x1 convolution if widths differ."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            ChannelNorm(in_channels, silu=True),
            nn.Identity(),  # the official place of SiLU
            CausalConv3d(in_channels, out_channels, 3),
            ChannelNorm(out_channels, silu=True),
            nn.Identity(),
            nn.Identity(),  # the official place of a dropout that is never used
            CausalConv3d(out_channels, out_channels, 3),
        )
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else CausalConv3d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """(B, C, T, H, W) -> (B, C', T, H, W); in a stream the result may take the place of ``x``."""
        room = fresh if state is None else state.room
        first_norm, _, first, second_norm, _, _, second = self.residual
        made = first(first_norm(x, room), state, room)
        made = second(second_norm(made, room), state, room)
        h = self.shortcut(x)
        return made.add_(h) if state is None or torch.is_grad_enabled() else h.add_(made)


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
        qkv = _of_pixels(self.to_qkv, self.norm(frames)).flatten(2).transpose(1, 2)
        q, k, v = qkv.unsqueeze(1).contiguous().chunk(3, dim=-1)
        mixed = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2)
        mixed = _of_pixels(self.proj, mixed.unflatten(2, frames.shape[2:]))
        return x + to_clip(mixed, x.shape[0])


def _of_pixels(layer: nn.Conv2d, frames: Tensor) -> Tensor:
    return convolve(F.conv2d, frames, layer.weight, layer.bias)


class Downsample(nn.Module):
    """Halves the picture and, with ``time``, the frame rate: frame 0 stays alone, others join in pairs."""

    def __init__(self, channels: int, time: bool) -> None:
        super().__init__()
        self.resample = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(channels, channels, 3, stride=2))
        self.time_conv = nn.Conv3d(channels, channels, (3, 1, 1), stride=(2, 1, 1)) if time else None

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        pad, halve = self.resample
        frames = convolve(F.conv2d, pad(to_frames(x)), halve.weight, halve.bias, stride=2)
        x = to_clip(frames, x.shape[0])
        if self.time_conv is None:
            return x
        first = None if state is not None and self in state else x[:, :, :1]
        x = _continue(self, x, 1, state)
        if x.shape[2] == 1:
            return x
        x = convolve(F.conv3d, x, self.time_conv.weight, self.time_conv.bias, stride=(2, 1, 1))
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
        frames = frames.to(product_dtype(frames))
        kernels, bias = self._kernels(frames.dtype, state), self.bias.to(frames.dtype)
        for row in (0, 1):
            for column in (0, 1):
                made = F.conv2d(frames, kernels[row, column], bias, padding=1)
                place = slice(row, row + height), slice(column, column + width)
                doubled[:, :, row::2, column::2] = made[:, :, *place]
        return doubled

    def _kernels(self, dtype: torch.dtype, state: StreamState | None) -> Tensor:
        """Of the four places: kept for the length of a stream."""
        if state is None:
            return _place_kernels(self.weight, dtype)
        if self.weight not in state:
            state[self.weight] = _place_kernels(self.weight, dtype)
        return state[self.weight]


def _place_kernels(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """(C', C, 3, 3) -> (row, column, C', C, 2, 2): the kernel of each place in the pair."""
    taps = weight.new_tensor(_TAPS, dtype=torch.float32)
    return torch.einsum("iak,jbl,ockl->ijocab", taps, taps, weight.float()).to(dtype)


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
        earlier_later = self.time_conv(rest, state).unflatten(1, (2, -1)).permute(0, 3, 1, 4, 5, 2)
        rest = earlier_later.flatten(1, 2).permute(0, 4, 1, 2, 3)
        return rest if started else torch.cat([first, rest], dim=2)
