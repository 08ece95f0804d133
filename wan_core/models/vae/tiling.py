"""The VAE in tiles: the same numbers in less memory.

The widest layers, which take nearly all of the memory, see only a few pixels around each of their own. So a
tile is computed with all that its pixels depend on, and no more: its margin shrinks from layer to layer
(``_needed``) and is 0 at the end. Where a margin meets the picture's edge it ends there, and the layers pad
with zeros as they do for a whole picture. Hence no seams, and nothing to blend: a pixel has the value that it
has without tiles, up to the rounding of another order of additions. The layers that see whole frames (the
attention in the middle) work on the latent grid, 1/64 of the pixels, and take little memory untiled.

In time nothing is cut: each tile is streamed from the first frame to the last with a ``StreamState`` of its
own, one tile after the other. The alternative, all tiles advancing together, would have to keep all their
states, which is most of the memory that tiles are to save. The price is that the first frames are complete
only with the last tile; what waits meanwhile is on the CPU.

Shape legend: B batch, C channels of the latent grid's layers, T frames, H W pixels, t h w latent grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from wan_core.models.vae.blocks import CausalConv3d, Downsample, ResidualBlock, Upsample
from wan_core.models.vae.config import SMALLEST_TILE, SPATIAL_STRIDE, tile_count
from wan_core.models.vae.model import CausalStack, WanVAE, frame_groups
from wan_core.models.vae.stream import StreamState


class Span(NamedTuple):
    """The cells ``start`` to ``stop`` - 1 of one axis of a layer's input or output."""

    start: int
    stop: int


@dataclass(frozen=True)
class Tile:
    """A rectangle of the latent grid; the tiles of a picture cover each cell once."""

    rows: Span
    columns: Span

    @property
    def latent_index(self) -> tuple[slice, slice]:
        """Where it lies in a tensor (..., h, w)."""
        return slice(*self.rows), slice(*self.columns)

    @property
    def pixel_index(self) -> tuple[slice, slice]:
        """Where it lies in a tensor (..., H, W)."""
        rows, columns = ([edge * SPATIAL_STRIDE for edge in span] for span in (self.rows, self.columns))
        return slice(*rows), slice(*columns)


def split_tiles(height: int, width: int, tile: int) -> list[Tile]:
    """Tiles of at most ``tile`` pixels a side for a picture of ``height`` x ``width`` pixels.

    Along an axis they are of equal size, up to one latent cell: a narrow last one would cost as much margin
    as a wide one.

    Raises:
        ValueError: the tile is too small to be worth its margin.
    """
    if tile < SMALLEST_TILE:
        raise ValueError(f"tiles of {tile} pixels are refused; take at least {SMALLEST_TILE}")
    rows, columns = (_spans(side // SPATIAL_STRIDE, tile_count(side, tile)) for side in (height, width))
    return [Tile(row, column) for row in rows for column in columns]


def _spans(cells: int, count: int) -> list[Span]:
    return [Span(*edges) for edges in pairwise(cells * i // count for i in range(count + 1))]


def decode_tiles(vae: WanVAE, latents: Tensor, tile: int) -> Iterator[tuple[Tile, Tensor]]:
    """Normalised latents (B, z, t, h, w) -> each tile with its frames (B, 3, n, ., .), clamped to [-1, 1].

    All frames of a tile come in order before the next tile's, n = 1 for the first and 4 for each other, on
    the latents' device. Put together they equal ``WanVAE.decode``.
    """
    height, width = (side * SPATIAL_STRIDE for side in latents.shape[3:])
    state = StreamState()
    seen = [
        vae.decoder.begin(_last(vae.conv2(part)), state).cpu()
        for part in vae.denormalise(latents).split(1, dim=2)
    ]
    state.clear()
    decoder = vae.decoder
    slow = decoder.upsamples[: decoder.full_rate]
    parts = [*slow, *decoder.upsamples[decoder.full_rate :], *decoder.head]
    for place in split_tiles(height, width, tile):
        (rows, columns), cut = _cut(parts, place, (height, width), grows=True)
        state = StreamState()
        for frame in seen:
            piece = frame[..., slice(*rows), slice(*columns)]
            x = _last(piece.to(latents.device, copy=True))  # blocks may compute in its place
            x = decoder.run_by_frame(cut[len(slow) :], decoder.run(cut[: len(slow)], x, state), state)
            yield place, x.clamp(-1, 1)


def encode_tiles(
    vae: WanVAE, chunks: Iterable[Tensor], tile: int, like: Tensor, tell: Callable[[float], None]
) -> Iterator[Tensor]:
    """As ``WanVAE.encode_stream``, in tiles: normalised latents (B, z, 1, h, w), one at a time.

    Args:
        vae: the model.
        chunks: frames (B, 3, any, H, W) on the CPU; all are kept there until the last tile is done.
        tile: the largest side of a tile, in pixels.
        like: has the device and the dtype to compute in.
        tell: told often which share of the work is done, up to 1 before the first latents come.
    """
    groups = list(frame_groups(chunks))
    encoder = vae.encoder
    fast = [encoder.conv1, *encoder.downsamples[: encoder.full_rate]]
    parts = [*fast, *encoder.downsamples[encoder.full_rate :]]
    height, width = groups[0].shape[3:]
    seen: list[Tensor] = []
    tiles = split_tiles(height, width, tile)
    for done, place in enumerate(tiles):
        (rows, columns), cut = _cut(parts, place, (height, width), grows=False)
        state = StreamState()
        for number, group in enumerate(groups):
            x = _last(group[..., slice(*rows), slice(*columns)].to(like))
            x = encoder.run(cut[len(fast) :], encoder.run_by_frame(cut[: len(fast)], x, state), state)
            if number == len(seen):
                grid = (height // SPATIAL_STRIDE, width // SPATIAL_STRIDE)
                seen.append(torch.empty(*x.shape[:3], *grid, dtype=x.dtype))
            seen[number][..., *place.latent_index] = x.cpu()
            tell((done + (number + 1) / len(groups)) / len(tiles))
    state = StreamState()
    for features in seen:
        mean, _ = vae.conv1(encoder.finish(_last(features.to(like)), state)).chunk(2, dim=1)
        yield vae.normalise(mean)


@dataclass(frozen=True)
class _CutPart:
    """A part of the VAE that works on a tile, and what is cut off its output: what no later part reads."""

    part: nn.Module
    rows: slice
    columns: slice

    def __call__(self, x: Tensor, state: StreamState | None) -> Tensor:
        return CausalStack.run([self.part], x, state)[..., self.rows, self.columns]


def _cut(
    parts: Sequence[nn.Module], place: Tile, size: tuple[int, int], grows: bool
) -> tuple[tuple[Span, Span], list[_CutPart]]:
    """What of the input a tile reads, rows and columns, and the parts with their outputs cut.

    Args:
        parts: in order; from the latent grid to pixels if ``grows``, else the other way.
        place: the tile.
        size: height and width of the picture in pixels.
        grows: whether the parts are the decoder's.
    """
    spans = []
    for side, cells in zip(size, (place.rows, place.columns), strict=True):
        core = Span(*(edge * SPATIAL_STRIDE for edge in cells)) if grows else cells
        spans.append(_read_spans(parts, core, side // SPATIAL_STRIDE if grows else side))
    cut = []
    for part, *edges in zip(parts, *(pairwise(axis) for axis in spans), strict=True):
        rows, columns = (_kept(part, before, after) for before, after in edges)
        cut.append(_CutPart(part, rows, columns))
    return (spans[0][0], spans[1][0]), cut


def _read_spans(parts: Sequence[nn.Module], core: Span, size: int) -> list[Span]:
    """What is needed of one axis: of each part's input, of ``size`` cells at first, and at last ``core``."""
    sizes = [size]
    for part in parts:
        sizes.append(_scaled(part, sizes[-1]))
    spans = [core]
    for part, cells in zip(reversed(parts), reversed(sizes[:-1]), strict=True):
        start, stop = _needed(part, spans[-1])
        spans.append(Span(max(start, 0), min(stop, cells)))
    return spans[::-1]


def _needed(part: nn.Module, out: Span) -> Span:
    """What a part reads of one axis to make ``out``; it may reach beyond the picture."""
    start, stop = out
    match part:
        case ResidualBlock():
            return Span(start - 2, stop + 2)
        case CausalConv3d():
            return Span(start - part.margin[0], stop + part.margin[0])
        case Upsample():  # doubled, then a convolution that reads one cell on either side
            return Span((start - 1) // 2, (stop + 2) // 2)
        case Downsample():  # cell i is made of 2i, 2i + 1 and 2i + 2
            return Span(2 * start, 2 * stop + 1)
        case _:  # a norm or an activation
            return out


def _scaled(part: nn.Module, cells: int) -> int:
    """How many cells a part makes of so many."""
    if isinstance(part, Upsample):
        return cells * 2
    return cells // 2 if isinstance(part, Downsample) else cells


def _kept(part: nn.Module, read: Span, wanted: Span) -> slice:
    """Where ``wanted`` lies in what a part makes of ``read``."""
    first = _scaled(part, read.start)
    return slice(wanted.start - first, wanted.stop - first)


def _last(x: Tensor) -> Tensor:
    """The same with channels last in memory, as convolutions like it."""
    return x.contiguous(memory_format=torch.channels_last_3d)
