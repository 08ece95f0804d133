"""Optical flow of motions that are known, and the colours it is drawn in."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from wan_core.pipelines.control_video import draw_control
from wan_core.pipelines.optical_flow import colour_flow, estimate_flow, flow_pictures
from wan_core.schema import Cancelled, ProgressEvent

MARGIN = 16  # pixels beside the edges, beyond which something moves that was never seen


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(H, W, 3), uint8: smooth, and different everywhere."""
    small = np.random.default_rng(seed).integers(0, 256, (height // 6, width // 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def moved(across: float, down: float) -> np.ndarray:
    """(2, 72, 96, 3): the same before and after it moved."""
    whole = Image.fromarray(texture(132, 156))
    views = [
        whole.transform(
            (96, 72), Image.Transform.AFFINE, (1, 0, 30 - x, 0, 1, 30 - y), Image.Resampling.BICUBIC
        )
        for x, y in ((0, 0), (across, down))
    ]
    return np.stack([np.asarray(view) for view in views])


@pytest.mark.parametrize("motion", [(1, 0), (3.4, -2.2), (-7.5, 4.25), (0.3, 0.2), (10, 6)])
def test_a_motion_is_found_to_a_third_of_a_pixel(motion: tuple[float, float]) -> None:
    flow = estimate_flow(*moved(*motion)).numpy()
    assert flow.shape == (2, 72, 96)
    wrong = np.hypot(flow[0] - motion[0], flow[1] - motion[1])[MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert wrong.max() < 0.3


def test_a_thing_moves_and_the_ground_stands_still() -> None:
    ground, thing = texture(72, 96, 1), texture(36, 36, 2)
    before, after = ground.copy(), ground.copy()
    before[18:54, 30:66], after[15:51, 34:70] = thing, thing
    flow = estimate_flow(before, after).numpy()
    np.testing.assert_allclose(np.median(flow[:, 22:50, 36:60], axis=(1, 2)), (4, -3), atol=0.1)
    assert np.abs(flow[:, :8]).max() < 0.1


def test_large_frames_are_solved_smaller() -> None:
    frame = texture(64, 768)
    flow = estimate_flow(frame, np.roll(frame, 6, axis=1)).numpy()
    assert flow.shape == (2, 64, 768)
    np.testing.assert_allclose(np.median(flow, axis=(1, 2)), (6, 0), atol=0.3)


def test_directions_have_the_hues_of_raft() -> None:
    flow = np.zeros((2, 1, 5))
    flow[:, 0] = np.array([[2, 0], [0, 2], [-2, 0], [0, -2], [1, 0]]).T
    right, down, left, up, slow = colour_flow(flow)[0].astype(int)
    assert np.abs(right - [255, 0, 0]).max() <= 1
    assert np.abs(down - [255, 255 * 13.5 / 15, 0]).max() <= 1
    assert np.abs(left - [0, 255 * (1 - 2 / 11), 255]).max() <= 1
    assert np.abs(up - [255 * 4.5 / 13, 0, 255]).max() <= 1
    assert np.abs(slow - [255, 127.5, 127.5]).max() <= 1


def test_every_frame_gets_a_picture_and_the_second_counts_twice() -> None:
    frames = np.concatenate([moved(2, 0), moved(0, 2)])[[0, 1, 3]]
    first, second, third = flow_pictures(frames)
    assert np.array_equal(first, second)
    assert not np.array_equal(second, third)
    (only,) = flow_pictures(frames[:1])
    assert (only == 255).all()


def test_what_stands_still_is_white() -> None:
    frame = texture(24, 48)
    assert all((picture >= 254).all() for picture in flow_pictures(np.stack([frame] * 2)))


def test_it_is_a_control_that_tells_how_far_it_is_and_can_be_stopped() -> None:
    frames, heard = moved(3, 0), list[ProgressEvent]()
    drawn = draw_control(frames, "flow", None, heard.append)
    assert (drawn.shape, drawn.dtype) == (frames.shape, np.uint8)
    assert [(event.step, event.total, event.message) for event in heard] == [
        (0, 2, "Drawing the flow"),
        (1, 2, "Drawing the flow"),
    ]

    def stop(event: object) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        draw_control(frames, "flow", None, stop)
