"""Control videos drawn from plain ones."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from wan_core.media.preprocess import PREPROCESSORS, canny, grey, soft_edge

OPENCV = "d7ead04ca872cd1de6c73abcc79d13ca9a31cec2cadf0db83987f22d75bcfe70"


def square(inside: tuple[int, int, int] = (255, 255, 255), size: int = 32) -> np.ndarray:
    """(1, size, size, 3): a square from 8 to 24 on black."""
    frames = np.zeros((1, size, size, 3), np.uint8)
    frames[:, 8:24, 8:24] = inside
    return frames


@pytest.mark.parametrize("name", PREPROCESSORS)
def test_every_one_keeps_the_shape_and_has_no_colour(name: str) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (3, 17, 24, 3), dtype=np.uint8)
    drawn = PREPROCESSORS[name](frames)
    assert drawn.shape == frames.shape
    assert drawn.dtype == np.uint8
    assert (drawn == drawn[..., :1]).all()


def test_grey_weighs_colours() -> None:
    colours = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)], np.uint8).reshape(1, 2, 2, 3)
    assert grey(colours)[0, ..., 0].ravel().tolist() == [76, 150, 29, 255]


def test_canny_is_that_of_opencv() -> None:
    """The digest is that of ``cv2.Canny(frame, 100, 200)`` of OpenCV 5.0.0 for this picture."""
    x, y = np.meshgrid(np.arange(96), np.arange(64))
    curves = ((x * x * 3 + y * y * 5 + x * y * 7) // 64, (x * 5 + y * y) // 9, (x * y) // 7)
    edges = canny(np.stack(curves, axis=-1).astype(np.uint8)[None])[0, ..., 0]
    assert (edges > 0).sum() == 599
    assert hashlib.sha256(edges.tobytes()).hexdigest() == OPENCV


def test_canny_of_a_square_is_its_outline_a_pixel_wide() -> None:
    edges = canny(square())[0, ..., 0] > 0
    assert np.flatnonzero(edges[16]).tolist() == np.flatnonzero(edges[:, 16]).tolist() == [7, 23]
    assert np.flatnonzero(edges[7]).tolist() == list(range(9, 23))


def test_canny_sees_edges_between_colours_of_the_same_grey() -> None:
    frames = np.full((1, 16, 16, 3), (150, 0, 0), np.uint8)
    frames[:, :, 8:] = (0, 0, 255)
    assert canny(frames)[0, 5, :, 0].tolist() == [0] * 7 + [255] + [0] * 8


def test_canny_follows_a_faint_edge_from_a_clear_one() -> None:
    """The step is above the high threshold at the top and only above the low one at the bottom."""
    frames = np.zeros((1, 32, 16, 3), np.uint8)
    frames[:, :, 8:] = np.linspace(60, 30, 32, dtype=np.uint8)[:, None, None]
    assert (canny(frames)[0, :, 7:9, 0].max(axis=1) == 255).all()
    frames[:, :, 8:] = 40
    assert not canny(frames).any()


def test_canny_of_a_border_is_not_an_edge() -> None:
    assert not canny(np.full((1, 16, 16, 3), 200, np.uint8)).any()


def test_soft_edges_are_wide_and_graded() -> None:
    edges = soft_edge(square())[0, 16, :, 0].astype(int)
    assert edges[7:9].min() >= 254
    assert 0 < edges[5] < edges[6] <= 255
    assert edges[0] == edges[15] == 0


def test_soft_edges_of_nothing_are_nothing() -> None:
    assert not soft_edge(np.full((2, 16, 16, 3), 90, np.uint8)).any()


def test_soft_edges_are_as_bright_through_a_whole_clip() -> None:
    clip = np.concatenate([square(), square((60, 60, 60))])
    bright, faint = soft_edge(clip)[:, 16, 7, 0].astype(int)
    assert bright >= 254
    assert abs(faint - 60) <= 3
