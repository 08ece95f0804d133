"""What do tiles cost, and do they show? The demo VAE, decoding and encoding in tiles against whole pictures.

    python -m benchmarks.vae_tiling [--frames 5] [--tiles 64 96 128]

Beside the studio's exact tiles it decodes in the usual kind: each tile with neither its neighbours' pixels
nor the picture's attention, and ramps over a quarter of its side where two meet. PSNR is against the whole
picture, over all frames and over the worst one; ``seam`` is the same near the edges of the exact tiles alone.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.report import save
from wan_core.catalog import MODELS, Role
from wan_core.manager.loading import load_vae
from wan_core.models.vae.config import SPATIAL_STRIDE
from wan_core.models.vae.model import WanVAE
from wan_core.models.vae.tiling import decode_tiles, encode_tiles, split_tiles
from wan_core.training.world import draw, random_scene

HEIGHT, WIDTH = 192, 256
_SEAM = 8  # pixels on either side of an edge
_FLAT_DB = 200.0  # stands for no difference at all


def decode_exact(vae: WanVAE, latents: Tensor, tile: int) -> Tensor:
    clip = torch.empty(1, 3, latents.shape[2] * 4 - 3, HEIGHT, WIDTH)
    done: dict[object, int] = {}
    for place, piece in decode_tiles(vae, latents, tile):
        start = done.get(place, 0)
        done[place] = start + piece.shape[2]
        clip[:, :, start : done[place]][..., *place.pixel_index] = piece
    return clip


def decode_blended(vae: WanVAE, latents: Tensor, tile: int) -> Tensor:
    """Tiles that know nothing of each other, mixed by ramps on their inner edges; weights sum to 1."""
    side, overlap = tile // SPATIAL_STRIDE, tile // SPATIAL_STRIDE // 4
    grid = latents.shape[3:]
    clip = torch.zeros(1, 3, latents.shape[2] * 4 - 3, HEIGHT, WIDTH)
    weights = torch.zeros(HEIGHT, WIDTH)
    starts = [range(0, max(cells - overlap, 1), side - overlap) for cells in grid]
    for top in starts[0]:
        for left in starts[1]:
            bottom, right = min(top + side, grid[0]), min(left + side, grid[1])
            piece = vae.decode(latents[..., top:bottom, left:right])
            down = _ramp(bottom - top, top > 0, bottom < grid[0], overlap)
            across = _ramp(right - left, left > 0, right < grid[1], overlap)
            mask = down[:, None] * across
            at = (..., slice(top * 8, bottom * 8), slice(left * 8, right * 8))
            clip[at] += piece * mask
            weights[at] += mask
    return clip / weights


def _ramp(cells: int, before: bool, after: bool, overlap: int) -> Tensor:
    pixels = torch.ones(cells * SPATIAL_STRIDE)
    rise = (torch.arange(overlap * SPATIAL_STRIDE) + 1.0) / (overlap * SPATIAL_STRIDE + 1)
    if before:
        pixels[: len(rise)] = rise
    if after:
        pixels[-len(rise) :] *= rise.flip(0)
    return pixels


def psnr(one: Tensor, other: Tensor) -> float:
    """Decibels of two clips in [-1, 1]."""
    error = (one - other).double().square().mean().item()
    return round(10 * math.log10(4 / error), 1) if error else _FLAT_DB


def near_seams(tile: int) -> Tensor:
    """Which pixels (HEIGHT, WIDTH) lie at an inner edge of a tile."""
    near = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    for place in split_tiles(HEIGHT, WIDTH, tile):
        rows, columns = place.pixel_index
        if rows.start:
            near[rows.start - _SEAM : rows.start + _SEAM, columns] = True
        if columns.start:
            near[rows, columns.start - _SEAM : columns.start + _SEAM] = True
    return near


def timed(work: Callable[[], Tensor]) -> tuple[Tensor, float]:
    started = time.process_time()
    return work(), round(time.process_time() - started, 2)


def measure(vae: WanVAE, latents: Tensor, whole: Tensor, tile: int) -> list[dict[str, object]]:
    """A row for each kind of tiles."""
    rows = []
    near = near_seams(tile)
    for kind, decode in (("exact", decode_exact), ("blended", decode_blended)):
        clip, seconds = timed(lambda decode=decode: decode(vae, latents, tile))
        rows.append(
            {
                "tile": tile,
                "kind": kind,
                "psnr": psnr(clip, whole),
                "worst_frame": min(map(psnr, clip[0].unbind(1), whole[0].unbind(1))),
                "seam": psnr(clip[..., near], whole[..., near]),
                "largest": float(f"{(clip - whole).abs().max().item():.2g}"),
                "cpu_seconds": seconds,
            }
        )
    return rows


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--tiles", type=int, nargs="+", default=[64, 96, 128])
    options = parser.parse_args()
    spec = MODELS["demo"]
    vae = load_vae(Path(spec.folder), spec.weights[Role.VAE].files, torch.float32)
    scene = random_scene(random.Random(4), two=1.0)
    frames = draw(scene, options.frames, size=WIDTH)[None, :, :, :HEIGHT]
    latents = vae.encode(frames)
    whole, seconds = timed(lambda: vae.decode(latents))
    print(f"{WIDTH}x{HEIGHT}, {options.frames} frames, whole: {seconds:.2f} s of CPU")
    rows, encoded = [], {}
    for tile in options.tiles:
        rows += measure(vae, latents, whole, tile)
        tiled = torch.cat(list(encode_tiles(vae, [frames], tile, frames, lambda share: None)), dim=2)
        encoded[tile] = float(f"{(tiled - latents).abs().max().item():.2g}")
        for row in rows[-2:]:
            print(
                f"tile {tile:4} {row['kind']:8} PSNR {row['psnr']:6.1f} dB, "
                f"worst frame {row['worst_frame']:6.1f}, "
                f"seams {row['seam']:6.1f}, largest {row['largest']:.1e}, {row['cpu_seconds']:.2f} s"
            )
        print(f"tile {tile:4} encoded: latents differ by at most {encoded[tile]:.1e}")
    report = {"size": [WIDTH, HEIGHT], "frames": options.frames, "whole_cpu_seconds": seconds}
    save("vae_tiling", {**report, "decoding": rows, "encoding_largest": encoded})


if __name__ == "__main__":
    main()
