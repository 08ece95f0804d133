"""Tiles of the VAE: they cover the picture once, and each pixel comes out as without tiles."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from tests.models.test_vae import randomised
from wan_core.models.vae.config import VAEConfig
from wan_core.models.vae.model import WanVAE
from wan_core.models.vae.tiling import Span, Tile, decode_tiles, encode_tiles, split_tiles


@pytest.fixture(scope="module")
def vae() -> WanVAE:
    return randomised(WanVAE(VAEConfig(dim=4)))


@pytest.fixture(scope="module")
def exact(vae: WanVAE) -> WanVAE:
    """The same in float64, where roundings hide nothing."""
    return deepcopy(vae).double()


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def decode(vae: WanVAE, latents: torch.Tensor, tile: int) -> torch.Tensor:
    """The whole clip from its tiles; a frame or pixel that no tile brings stays NaN."""
    batch, _, frames, height, width = latents.shape
    clip = latents.new_full((batch, 3, frames * 4 - 3, height * 8, width * 8), torch.nan)
    done: dict[Tile, int] = {}
    for place, piece in decode_tiles(vae, latents, tile):
        start = done.get(place, 0)
        done[place] = start + piece.shape[2]
        clip[:, :, start : done[place]][..., *place.pixel_index] = piece
    assert set(done.values()) == {clip.shape[2]}
    return clip


@pytest.mark.parametrize(
    ("height", "width", "tile", "rows", "columns"),
    [
        (480, 832, 256, 2, 4),
        (832, 480, 256, 4, 2),
        (720, 1280, 256, 3, 5),
        (480, 832, 512, 1, 2),
        (176, 272, 100, 2, 3),  # 100 is no multiple of 8: tiles of 96 at most
        (64, 64, 64, 1, 1),
        (72, 64, 64, 2, 1),
    ],
)
def test_every_pixel_lies_in_one_tile(height: int, width: int, tile: int, rows: int, columns: int) -> None:
    counts = torch.zeros(height, width)
    tiles = split_tiles(height, width, tile)
    assert (len({t.rows for t in tiles}), len({t.columns for t in tiles})) == (rows, columns)
    for place in tiles:
        down, across = place.pixel_index
        counts[down, across] += 1
        assert max(down.stop - down.start, across.stop - across.start) <= tile
    assert torch.equal(counts, torch.ones(height, width))
    areas = {(t.rows.stop - t.rows.start) for t in tiles}
    assert max(areas) - min(areas) <= 1  # no narrow last one


def test_rows_are_height_and_columns_width() -> None:
    place = Tile(Span(1, 3), Span(4, 9))
    assert place.latent_index == (slice(1, 3), slice(4, 9))
    assert place.pixel_index == (slice(8, 24), slice(32, 72))


@pytest.mark.parametrize("tile", [0, -8, 63])
def test_a_tile_that_is_mostly_margin_is_refused(vae: WanVAE, tile: int) -> None:
    with pytest.raises(ValueError, match=f"tiles of {tile} pixels are refused; take at least 64"):
        next(decode_tiles(vae, noise(1, 16, 1, 2, 2), tile))


@pytest.mark.parametrize(("grid", "tile"), [((11, 18), 64), ((20, 13), 96), ((9, 33), 64), ((3, 4), 64)])
def test_decoding_in_tiles_is_decoding(vae: WanVAE, exact: WanVAE, grid: tuple[int, int], tile: int) -> None:
    latents = noise(1, 16, 2, *grid)
    with torch.no_grad():
        whole = exact.decode(latents.double())
        tiled, in_float32 = decode(exact, latents.double(), tile), decode(vae, latents, tile)
    assert whole.std() > 0.1
    torch.testing.assert_close(tiled, whole, atol=1e-12, rtol=0)
    torch.testing.assert_close(in_float32.double(), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("grid", "tile"), [((11, 18), 64), ((20, 7), 96), ((8, 8), 64)])
@pytest.mark.parametrize("cuts", [(4, 4, 1), (9,)])
def test_encoding_in_tiles_is_encoding(
    vae: WanVAE, exact: WanVAE, grid: tuple[int, int], tile: int, cuts: tuple[int, ...]
) -> None:
    frames = noise(1, 3, 9, grid[0] * 8, grid[1] * 8).clamp(-1, 1)
    told: list[float] = []

    def encode(vae: WanVAE, frames: torch.Tensor) -> torch.Tensor:
        tiled = list(encode_tiles(vae, frames.split(cuts, dim=2), tile, frames[:0], told.append))
        assert [part.shape[2] for part in tiled] == [1, 1, 1]
        return torch.cat(tiled, dim=2)

    with torch.no_grad():
        whole = exact.encode(frames.double())
        tiled = encode(exact, frames.double())
        told.clear()
        in_float32 = encode(vae, frames)
    torch.testing.assert_close(tiled, whole, atol=1e-12, rtol=0)
    torch.testing.assert_close(in_float32.double(), whole, atol=1e-5, rtol=1e-5)
    assert told == sorted(told)
    assert told[-1] == 1


def test_an_impulse_at_a_seam_spreads_as_without_tiles(vae: WanVAE) -> None:
    """The latents left of a seam reach the pixels right of it: what blended tiles lose."""
    latents = noise(1, 16, 1, 16, 32)
    changed = latents.clone()
    changed[..., 15] += 3  # the seam is at 16
    with torch.no_grad():
        tiled = decode(vae, changed, 128) - decode(vae, latents, 128)
        whole = vae.decode(changed) - vae.decode(latents)
    right = whole[..., 128:]
    assert right.abs().max() > 0.01
    torch.testing.assert_close(tiled[..., 128:], right, atol=2e-5, rtol=0)


def test_time_is_never_cut(vae: WanVAE) -> None:
    latents = noise(1, 16, 4, 12, 12)
    changed = latents.clone()
    changed[:, :, 3] += 1
    with torch.no_grad():
        before, after = decode(vae, latents, 64), decode(vae, changed, 64)
    assert torch.equal(before[:, :, :9], after[:, :, :9])
    assert not torch.equal(before[:, :, 9:], after[:, :, 9:])
