"""``python -m wan_core.training.example_media``: draw the pictures and clips that the page offers to try.

They are of the demo models' world, so that these know what to make of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from wan_core.media.write import write_image, write_video
from wan_core.training.world import JOURNEY, Scene, Thing, draw

EXAMPLES_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "examples"
_FPS, _QUALITY = 8, 8

SCENES = {
    "square": Scene((Thing("yellow", "square", "right", 12.0, 0.5, 0.2),), "night"),
    "star": Scene((Thing("purple", "star", "up", 13.0, 0.5, 0.3),), "sky"),
    "circle": Scene((Thing("red", "circle", "bounce", 12.0, 0.5, 0.0),), "grey"),
    "triangle": Scene((Thing("green", "triangle", "grow", 13.0, 0.5, 0.0),), "earth"),
}
"""Name of the files -> what they show."""

_FILES = (
    "square.mp4",
    "square-first.png",
    "square-last.png",
    "star-first.png",
    "star-last.png",
    "circle-first.png",
    "triangle-last.png",
)


def draw_examples(folder: Path) -> list[Path]:
    """Write all example files into a folder; the same bytes every time on one version of ffmpeg."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name in _FILES:
        path = folder / name
        frames = example_frames(path.stem.partition("-")[0])
        if path.suffix == ".mp4":
            write_video([frames], path, _FPS, _QUALITY, {})
        else:
            write_image(frames[-1 if path.stem.endswith("last") else 0], path, "png", {})
        made.append(path)
    return made


def example_frames(scene: str) -> np.ndarray:
    """The clip of one of ``SCENES``, (T, H, W, 3), uint8."""
    clip = draw(SCENES[scene], JOURNEY)
    return ((clip + 1) * 127.5).round().byte().permute(1, 2, 3, 0).numpy()


def main() -> int:
    """Draw them into the folder that the page reads, or another."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--folder", type=Path, default=EXAMPLES_FOLDER)
    draw_examples(parser.parse_args().folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
