"""Sizes by the official rule, and pictures cut, bordered or stretched to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from wan_core.media.fitting import (
    PixelBox,
    cut,
    fit_frames,
    fit_length,
    fit_size,
    fit_vace_size,
    part_of,
    shown_box,
)

AREA_480P, AREA_720P = 480 * 832, 720 * 1280


def official_size(area: int, height: int, width: int) -> tuple[int, int]:
    """Spec 7, in the floating point numbers of the official script."""
    aspect = height / width
    rows, columns = (round(np.sqrt(x) // 8 // 2 * 2) for x in (area * aspect, area / aspect))
    return columns * 8, rows * 8


@pytest.mark.parametrize("area", [AREA_480P, AREA_720P])
def test_the_official_rule(area: int) -> None:
    for height in range(100, 1500, 37):
        for width in range(100, 1500, 41):
            assert fit_size(area, (height, width)) == official_size(area, height, width)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((480, 832), (832, 480)),  # where floating point loses a row of patches
        ((1080, 1920), (832, 464)),
        ((1000, 1000), (624, 624)),
        ((500, 2000), (1248, 304)),
        ((4032, 3024), (544, 720)),
    ],
)
def test_sizes_at_480p(shape: tuple[int, int], size: tuple[int, int]) -> None:
    assert fit_size(AREA_480P, shape) == size


def test_a_side_is_never_lost() -> None:
    assert fit_size(64 * 64, (16, 1600), multiple=16) == (640, 16)
    assert fit_size(64 * 64, (4, 1600), multiple=16) == (1280, 16)
    assert fit_size(64 * 64, (100, 100), multiple=32) == (64, 64)
    assert fit_vace_size(64 * 64, (10, 100)) == (16, 16)


def official_vace_size(area: int, shape: tuple[int, int], frames: int) -> tuple[int, int]:
    """Spec 8 as it is written, with the bounds on tokens and the length that follows from them."""
    height, width = shape
    tokens = 75_600 if area == AREA_720P else 32_760
    cells = min(tokens, area / 256, (height // 16) * (width // 16))
    latent_frames = min((frames - 1) // 4 + 1, int(tokens / cells))
    cells = min(cells, int(tokens / latent_frames))
    rows = round(np.sqrt(cells * (height / width)))
    return 16 * int(cells / rows), 16 * rows


@pytest.mark.parametrize("area", [AREA_480P, AREA_720P])
@pytest.mark.parametrize("frames", [1, 17, 81, 400])
def test_the_official_rule_of_vace(area: int, frames: int) -> None:
    for height in range(100, 1500, 37):
        for width in range(160, 1500, 41):
            shape = (height, width)
            assert fit_vace_size(area, shape) == official_vace_size(area, shape, frames), shape


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((480, 832), (832, 480)),
        ((1080, 1920), (832, 480)),  # pictures become 832x464
        ((1000, 1000), (640, 624)),
        ((1920, 1080), (464, 848)),
        ((240, 320), (320, 240)),  # not enlarged
        ((250, 330), (320, 240)),
    ],
)
def test_sizes_of_source_videos_at_480p(shape: tuple[int, int], size: tuple[int, int]) -> None:
    assert fit_vace_size(AREA_480P, shape) == size


def test_a_source_video_keeps_a_row_and_a_column() -> None:
    assert fit_vace_size(64 * 64, (16, 160)) == (160, 16)
    assert fit_vace_size(64 * 64, (1600, 16)) == (16, 256)


def halves(height: int, width: int) -> np.ndarray:
    """(2, height, width, 3): black to the left and white to the right."""
    frames = np.zeros((2, height, width, 3), np.uint8)
    frames[:, :, width // 2 :] = 255
    return frames


@pytest.mark.parametrize("fit", ["crop", "fit", "stretch"])
def test_the_right_size_stays_as_it_is(fit: str) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (2, 16, 32, 3), dtype=np.uint8)
    assert np.array_equal(fit_frames(frames, 32, 16, fit), frames)


def test_crop_keeps_the_middle() -> None:
    frames = np.repeat(np.arange(64, dtype=np.uint8)[None, None, :, None], 3, axis=3).repeat(16, axis=1)
    cropped = fit_frames(frames, 16, 16, "crop")
    assert np.array_equal(cropped[0, 0, :, 0], np.arange(24, 40))
    assert shown_box((16, 64), 16, 16, "crop") == (24, 0, 40, 16)


def test_crop_covers_from_any_size() -> None:
    cropped = fit_frames(np.full((1, 30, 50, 3), 200, np.uint8), 64, 64, "crop")
    assert cropped.shape == (1, 64, 64, 3)
    assert (cropped == 200).all()


def official_cover(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """Spec 8 as it is written: bicubic and antialiased, on bytes, to whole pixels; then the middle is cut."""
    down, across = frame.shape[:2]
    scale = max(width / across, height / down)
    size = (round(scale * down), round(scale * across))
    pixels = torch.from_numpy(frame).permute(2, 0, 1)[None]
    resized = F.interpolate(pixels, size=size, mode="bicubic", antialias=True)[0].permute(1, 2, 0)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return resized[top : top + height, left : left + width].numpy()


@pytest.mark.parametrize(
    ("shape", "size"),
    [((97, 180), (48, 64)), ((101, 67), (48, 32)), ((33, 50), (96, 96)), ((270, 480), (208, 112))],
)
def test_a_video_is_cut_as_by_the_official_code(shape: tuple[int, int], size: tuple[int, int]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    ours, theirs = fit_frames([frame], *size, "crop")[0], official_cover(frame, *size)
    off = np.abs(ours.astype(int) - theirs)
    assert off.max() <= 1  # Pillow and torch round their weights each in a way of its own
    assert (off > 0).mean() < 0.01


def test_fit_adds_borders() -> None:
    fitted = fit_frames(np.full((1, 16, 64, 3), 200, np.uint8), 32, 32, "fit", border=7)
    assert (fitted[:, 12:20] == 200).all()
    assert (fitted[:, :12] == 7).all()
    assert (fitted[:, 20:] == 7).all()


def test_stretch_fills() -> None:
    stretched = fit_frames(halves(16, 64), 32, 48, "stretch")
    assert stretched.shape == (2, 48, 32, 3)
    assert (stretched[:, :, :12] < 20).all()
    assert (stretched[:, :, 20:] > 235).all()
    assert shown_box((16, 64), 32, 48, "stretch") == shown_box((16, 64), 32, 48, "fit") == (0, 0, 64, 16)


def test_shrinking_has_no_moire() -> None:
    stripes = np.zeros((1, 256, 256, 3), np.uint8)
    stripes[:, :, ::2] = 254
    assert np.abs(fit_frames(stripes, 32, 32, "crop")[:, 2:-2, 2:-2].astype(int) - 127).max() <= 3


def test_masks_have_no_colours() -> None:
    mask = np.zeros((3, 20, 40), np.uint8)
    mask[:, :, 20:] = 255
    for fit in ("crop", "fit", "stretch"):
        assert fit_frames(mask, 16, 16, fit).shape == (3, 16, 16)
    assert (fit_frames(mask, 16, 16, "fit", border=255)[:, 0] == 255).all()


def test_frames_may_be_a_stream() -> None:
    assert fit_frames(iter(halves(16, 64)), 32, 16, "crop").shape == (2, 16, 32, 3)


def test_lengths() -> None:
    frames = np.arange(3)[:, None]
    assert fit_length(frames, 5)[:, 0].tolist() == [0, 1, 2, 2, 2]
    assert fit_length(frames, 3)[:, 0].tolist() == [0, 1, 2]
    assert fit_length(frames, 1)[:, 0].tolist() == [0]


@pytest.mark.parametrize(
    ("shares", "box"),
    [
        (None, (0, 0, 100, 50)),
        ((0, 0, 1, 1), (0, 0, 100, 50)),
        ((0.25, 0.1, 0.75, 0.9), (25, 5, 75, 45)),
        ((0.004, 0.0, 0.994, 0.019), (0, 0, 99, 1)),
        ((0.005, 0.01, 0.015, 0.03), (0, 0, 2, 2)),  # halfway is the even line
        ((0.999, 0.999, 1, 1), (99, 49, 100, 50)),
        ((0.3, 0.3, 0.301, 0.301), (30, 15, 31, 16)),
    ],
)
def test_the_edges_of_a_part_are_the_nearest_lines_between_pixels(
    shares: tuple[float, ...] | None, box: tuple[int, ...]
) -> None:
    assert part_of((50, 100), shares) == PixelBox(*box)


def test_a_part_is_a_copy_so_that_the_whole_can_go() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (50, 100, 3), np.uint8)
    part = cut(frame, (0.25, 0.1, 0.75, 0.9))
    assert np.array_equal(part, frame[5:45, 25:75])
    assert part.base is None
    assert np.array_equal(cut(frame[..., 0], (0.25, 0.1, 0.75, 0.9)), frame[5:45, 25:75, 0])
    assert cut(frame, None) is frame
