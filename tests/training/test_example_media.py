"""The example files are what their script draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ui.making.examples import FOLDER
from wan_core.media.read import read_image, read_video
from wan_core.training.example_media import EXAMPLES_FOLDER, draw_examples, example_frames


def test_the_shipped_files_are_those_that_the_script_draws(tmp_path: Path) -> None:
    assert FOLDER == EXAMPLES_FOLDER
    made = draw_examples(tmp_path)
    shipped = {path.name for path in FOLDER.iterdir() if path.suffix != ".json"}
    assert {path.name for path in made} == shipped
    for path in made:
        if path.suffix == ".png":
            assert np.array_equal(read_image(FOLDER / path.name), read_image(path))
    frames = read_video(FOLDER / "square.mp4").frames
    drawn = example_frames("square")
    assert frames.shape == drawn.shape == (17, 64, 64, 3)
    assert np.abs(frames.astype(int) - drawn).mean() < 3
    assert sum((FOLDER / name).stat().st_size for name in shipped) < 20_000
