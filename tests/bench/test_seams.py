"""Where windows meet: what counts as a border, and that a clip of the demo model jumps no more there."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np

from benchmarks.adherence_studio import Studio
from benchmarks.seams import TARGET, border_jumps, jumps, measure
from wan_core.schema.windows import WindowOptions


def test_a_border_is_where_a_frame_is_seen_twice() -> None:
    """Latent frames 3 and 4 of 0 to 7: frames 9 to 16, from the jump to the first to that from the last."""
    found = border_jumps(WindowOptions.read("static frames=17 overlap=8"), 29)
    assert np.flatnonzero(found).tolist() == list(range(8, 17))


def test_a_jump_is_the_mean_difference() -> None:
    frames = np.zeros((3, 2, 2, 3), np.uint8)
    frames[1] = 10
    frames[2, 0] = 10
    assert jumps(frames).tolist() == [10, 5]


def test_a_clip_of_the_demo_model_jumps_no_more_at_borders(tmp_path: Path) -> None:
    options = Namespace(frames=29, clips=1, steps=10, keep=None)
    seams = measure(Studio(tmp_path), "static", options)
    assert seams.inside > 0.5  # it moves
    assert seams.ratio <= TARGET
