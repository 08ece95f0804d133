"""Attention that leaves out pairs of tokens that are far apart in the clip, through torch's FlexAttention.

A pattern says which keys a token of the clip looks at. Tokens before and after the clip, such as references,
look at all and are seen by all. What is left out is not computed, so the result is an approximation: of dense
attention, not of the pattern's own, which it is exactly.
"""

# B batch, L tokens, F latent frames, H W tokens along a frame's sides

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

BLOCK = 128
"""Queries and keys that FlexAttention leaves out or computes together."""

_TILE = (4, 4, 8)  # frames, rows, columns: as many tokens as a block
_REACH = (1, 2, 2)  # tiles to each side of a query's own

Seen = Callable[[Tensor, Tensor], Tensor]
"""Places of queries and of keys, which broadcast -> bool."""


@dataclass(frozen=True)
class Grid:
    """Where a clip lies among the tokens: ``front`` others come first, perhaps more after it.

    ``size`` is (F, H, W) in tokens.
    """

    size: tuple[int, int, int]
    front: int = 0

    @property
    def end(self) -> int:
        frames, rows, columns = self.size
        return self.front + frames * rows * columns


def radial(grid: Grid, device: torch.device) -> Seen:
    """The first frame, all of the own and of the next frames, and ever less of those that are further away.

    At a distance of d frames a token sees those that are less than H W / 2^floor(log2 d) tokens from its own
    place in a frame, so the cost is F log F, not F^2.
    """
    frames, cells = grid.size[0], grid.size[1] * grid.size[2]
    widths = torch.tensor([cells >> (max(distance, 1).bit_length() - 1) for distance in range(frames)]).to(
        device
    )

    def sees(query: Tensor, key: Tensor) -> Tensor:
        frame, seen = query // cells, key // cells
        width = widths[(frame - seen).abs()]
        return (seen == 0) | (((query % cells) - (key % cells)).abs() < width)

    return sees


def tiled(grid: Grid, device: torch.device) -> Seen:
    """The tiles around the own one, as in sliding-tile attention; at an edge more on the other side."""
    _, rows, columns = grid.size
    counts = tuple(-(-side // tile) for side, tile in zip(grid.size, _TILE, strict=True))

    def tile_of(place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return (
            place // (rows * columns) // _TILE[0],
            place // columns % rows // _TILE[1],
            place % columns // _TILE[2],
        )

    def sees(query: Tensor, key: Tensor) -> Tensor:
        seen = query >= 0
        for own, other, count, reach in zip(tile_of(query), tile_of(key), counts, _REACH, strict=True):
            centre = own.clamp(min(reach, count - 1), max(count - 1 - reach, 0)) if count > 2 * reach else own
            seen = seen & ((centre - other).abs() <= (reach if count > 2 * reach else count))
        return seen

    return sees


PATTERNS: dict[str, Callable[[Grid, torch.device], Seen]] = {"radial": radial, "tiled": tiled}


def order_of(pattern: str, grid: Grid, length: int) -> Tensor:
    """(L,): the tokens in the order in which they are computed, those of a tile side by side."""
    places = torch.arange(length)
    if pattern != "tiled":
        return places
    tiles = torch.cartesian_prod(*(torch.arange(side) for side in grid.size)) // torch.tensor(_TILE)
    counts = [-(-side // tile) for side, tile in zip(grid.size, _TILE, strict=True)]
    numbers = (tiles[:, 0] * counts[1] + tiles[:, 1]) * counts[2] + tiles[:, 2]
    clip = places[grid.front : grid.end][numbers.argsort(stable=True)]
    return torch.cat([places[: grid.front], clip, places[grid.end :]])


def visibility(pattern: str, grid: Grid, device: torch.device) -> Seen:
    """Whether queries at some places among the tokens look at keys at others."""
    sees, last = PATTERNS[pattern](grid, device), grid.end - grid.front - 1

    def outside(place: Tensor) -> Tensor:
        return (place < grid.front) | (place >= grid.end)

    def see(query: Tensor, key: Tensor) -> Tensor:
        inside = sees((query - grid.front).clamp(0, last), (key - grid.front).clamp(0, last))
        return inside | outside(query) | outside(key)

    return see


def dense_mask(pattern: str, grid: Grid, length: int) -> Tensor:
    """(L, L), bool: what a pattern lets each token see; for tests and trials at small sizes."""
    places = torch.arange(length)
    return visibility(pattern, grid, places.device)(places[:, None], places[None])


@torch.compiler.disable
def sparse_attention(pattern: str, query: Tensor, key: Tensor, value: Tensor, grid: Grid) -> Tensor:
    """(B, L, heads, head_dim) -> the same, with scale 1/sqrt(head_dim)."""
    order, back, mask = _plan(pattern, grid, query.shape[1], query.device)
    heads_first = [tensor[:, order].transpose(1, 2).contiguous() for tensor in (query, key, value)]
    return _flex(query.device.type)(*heads_first, block_mask=mask).transpose(1, 2)[:, back]


@lru_cache(maxsize=4)
def _plan(pattern: str, grid: Grid, length: int, device: torch.device) -> tuple[Tensor, Tensor, BlockMask]:
    """The order of the tokens, the way back, and the blocks that are computed."""
    with torch.inference_mode(False), torch.no_grad():
        order = order_of(pattern, grid, length).to(device)
        see = visibility(pattern, grid, device)

        def sees(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            return see(order[query], order[key])

        some, whole = key_blocks(see, order)
        mask = BlockMask.from_kv_blocks(
            *_listed(some & ~whole), *_listed(whole), BLOCK, sees, seq_lengths=(length, length)
        )
        return order, order.argsort(), mask


def key_blocks(see: Seen, order: Tensor) -> tuple[Tensor, Tensor]:
    """(blocks of queries, blocks of keys), bool, twice: where anything is seen, and where all of it is.

    A row of blocks at a time: the pairs of all tokens would not fit into memory.
    """
    count = -(-len(order) // BLOCK)
    some = torch.zeros(count, count, dtype=torch.bool, device=order.device)
    whole = some.clone()
    for row, queries in enumerate(order.split(BLOCK)):
        seen = see(queries[:, None], order[None])
        for found, into, filling in ((seen.any(0), some, False), (seen.all(0), whole, True)):
            padded = F.pad(found, (0, count * BLOCK - len(order)), value=filling).view(count, BLOCK)
            into[row] = padded.all(1) if filling else padded.any(1)
    whole[-1] = whole[:, -1] = False  # the last block may reach beyond the tokens
    return some, whole


def _listed(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """How many blocks of keys each block of queries has, (1, 1, n), and which, theirs first, (1, 1, n, n)."""
    counts = blocks.sum(1, dtype=torch.int32)
    places = (~blocks).to(torch.int32).argsort(dim=1, stable=True).to(torch.int32)
    return counts[None, None].contiguous(), places[None, None].contiguous()


@lru_cache(maxsize=2)
def _flex(device: str) -> Callable[..., Tensor]:
    """FlexAttention, which saves nothing until it is compiled; on a CPU it is written out, to be tried."""
    return flex_attention if device == "cpu" else torch.compile(flex_attention, dynamic=False)
