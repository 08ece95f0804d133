"""Runs an upscaler over frames, in tiles as large as memory allows.

A tile is computed together with what lies around it, and only the tile itself is kept; so where an upscaler
looks no further than that, tiles change nothing. Tiles begin at multiples of it, as nets with windows count
from the corner.

Shape legend: H W pixels, s times larger; frames are uint8 RGB arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from wan_core.upscaling.nets import Net

AROUND = 32
"""Pixels around a tile that are computed with it."""

SMALLEST = 64
_SIDES = (1024, 768, 512, 384, 256, 192, 128, 96, SMALLEST)
_PROBE = 32
_LAYERS_HELD = 6
"""How many outputs as large as the largest layer's are in memory at once."""


@dataclass(frozen=True)
class _Piece:
    """A tile: what is kept of it, as rows and columns, and from where on it is computed."""

    rows: slice
    columns: slice
    seen_rows: slice
    seen_columns: slice


def pieces(height: int, width: int, side: int | None) -> Iterator[_Piece]:
    """The tiles of a picture, row by row; None is one for all of it."""
    side = side or max(height, width)
    for top in range(0, height, side):
        for left in range(0, width, side):
            rows, columns = slice(top, min(top + side, height)), slice(left, min(left + side, width))
            yield _Piece(rows, columns, _wider(rows, height), _wider(columns, width))


def _wider(part: slice, length: int) -> slice:
    return slice(max(part.start - AROUND, 0), min(part.stop + AROUND, length))


@torch.inference_mode()
def enlarge_frame(
    net: Net, frame: np.ndarray, weight: Tensor, side: int | None, begun: Callable[[], None]
) -> np.ndarray | None:
    """A frame (H, W, 3) -> (sH, sW, 3), rounded; None if a number came out that is none.

    ``weight`` is a tensor of the device and precision of the net. ``begun`` is called before each tile.
    """
    height, width, s = *frame.shape[:2], net.scale
    whole = np.empty((height * s, width * s, 3), np.uint8)
    for piece in pieces(height, width, side):
        begun()
        seen = torch.from_numpy(frame[piece.seen_rows, piece.seen_columns].copy()).to(weight.device)
        made = net.model(seen.permute(2, 0, 1)[None].to(weight.dtype) / 255)
        top, left = piece.rows.start - piece.seen_rows.start, piece.columns.start - piece.seen_columns.start
        rows, columns = piece.rows.stop - piece.rows.start, piece.columns.stop - piece.columns.start
        kept = made[0, :, top * s : (top + rows) * s, left * s : (left + columns) * s].float()
        if not kept.isfinite().all():
            return None
        place = (
            slice(piece.rows.start * s, piece.rows.stop * s),
            slice(piece.columns.start * s, piece.columns.stop * s),
        )
        whole[place] = (kept * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return whole


@torch.inference_mode()
def bytes_per_pixel(net: Net, weight: Tensor) -> float:
    """What the net takes for each pixel that it is given, from a small picture that it is shown."""
    largest = 0

    def note(module: nn.Module, given: object, made: object) -> None:
        nonlocal largest
        if isinstance(made, Tensor):
            largest = max(largest, made.nbytes)

    hooks = [module.register_forward_hook(note) for module in net.model.model.modules()]
    try:
        net.model(torch.zeros(1, 3, _PROBE, _PROBE, device=weight.device, dtype=weight.dtype))
    finally:
        for hook in hooks:
            hook.remove()
    return _LAYERS_HELD * largest / _PROBE**2


def choose_side(height: int, width: int, room: float, pixel: float) -> int | None:
    """The side of the tiles that ``room`` bytes hold, at ``pixel`` bytes each; None is the whole picture."""
    if height * width * pixel <= room:
        return None
    fitting = (side for side in _SIDES if (side + 2 * AROUND) ** 2 * pixel <= room)
    return next(fitting, SMALLEST)


def smaller(side: int | None, height: int, width: int) -> int | None:
    """The next smaller tiles that are fewer pixels at a time; None if these are the smallest."""
    now = max(height, width) if side is None else side
    return next((other for other in _SIDES if other < now), None)
