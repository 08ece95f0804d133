"""Does a long video show where its windows meet? The demo model's clips through windows, jump by jump.

    python -m benchmarks.seams [--frames 65] [--clips 6] [--steps 20] [--windows "static" "looped" ...]

A jump is the mean difference of the pixels of two frames that follow each other. Static windows have their
borders at known places: where a frame is seen by two windows, there is one. Their jumps are set beside those
inside the windows. Where windows move there are no borders; all jumps are set beside those of clips of one
window, with the same prompts and seeds. Of a loop, that from its end to its start is told, too. Prints the
table and saves it; ``--keep`` writes the frames as pictures, to be looked at.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from benchmarks.adherence_studio import Studio
from benchmarks.report import save
from wan_core.acceleration.windows import windows_move, windows_of
from wan_core.catalog import find_model
from wan_core.media.write import write_image
from wan_core.models.vae.config import latent_frames
from wan_core.schema.windows import WindowOptions

PROMPTS = (
    "a red circle moving right at night",
    "a green star rising on brown earth",
    "a yellow square bouncing on a grey background",
    "a white triangle moving left in the blue sky",
)
WINDOWS = (
    "static",
    "static fuse=linear",
    "static freenoise=off",
    "sliding fuse=linear",
    "uniform",
    "looped",
)
TARGET = 1.10
"""Jumps at borders beside those inside windows."""

_COLUMNS = 17


@dataclass(frozen=True)
class Seams:
    """Jumps of clips, in steps of 8-bit colours.

    Attributes:
        windows: as they were asked for.
        border: the mean of those at the borders; where windows move, of all.
        inside: of those inside the windows; where windows move, of clips of one window.
        largest: the largest of each clip as a share of the largest inside, in the mean.
        closing: from the end to the start, beside those inside; None where the clip is no loop.
    """

    windows: str
    border: float
    inside: float
    largest: float
    closing: float | None

    @property
    def ratio(self) -> float:
        return self.border / self.inside

    @property
    def is_met(self) -> bool:
        return max(self.ratio, self.closing or 0.0) <= TARGET


def jumps(frames: np.ndarray) -> np.ndarray:
    """(T, H, W, 3), uint8 -> (T - 1,)."""
    return np.abs(np.diff(frames.astype(np.float32), axis=0)).mean(axis=(1, 2, 3))


def border_jumps(options: WindowOptions, num_frames: int) -> np.ndarray:
    """Which of a clip's jumps lie at a border of static windows, (T - 1,), bool.

    A jump lies there if one of its two frames is seen by more than one window.
    """
    total = latent_frames(num_frames)
    seen = np.bincount([frame for window in windows_of(options, total) for frame in window.frames])
    shared = np.array([seen[(frame + 3) // 4] > 1 for frame in range(num_frames)])
    return shared[1:] | shared[:-1]


def measure(studio: Studio, text: str, options: argparse.Namespace) -> Seams:
    """The jumps of all clips with these windows."""
    defaults = find_model("demo").defaults
    windows = WindowOptions.read(text).settled(defaults.num_frames)
    moves = windows_move(windows, latent_frames(options.frames))
    border, inside, largest, closing = [], [], [], []
    for seed, prompt in enumerate(PROMPTS[: options.clips]):
        asked = {"crf": 0, "num_inference_steps": options.steps}
        clip = studio.make("demo", "t2v", prompt, seed, num_frames=options.frames, windows=text, **asked)
        found = jumps(clip)
        if moves:
            here, there = found, jumps(studio.make("demo", "t2v", prompt, seed, **asked))
        else:
            at_border = border_jumps(windows, options.frames)
            here, there = found[at_border], found[~at_border]
        border.append(here.mean())
        inside.append(there.mean())
        largest.append(here.max() / there.max())
        if windows.loops:
            closing.append(jumps(clip[[-1, 0]])[0])
        if options.keep:
            write_image(_sheet(clip), options.keep / f"{text.replace(' ', '-')}-{seed}.png", "png", {})
    ending = fmean(closing) / fmean(inside) if closing else None
    return Seams(text, *(float(fmean(kind)) for kind in (border, inside, largest)), closing=ending)


def _sheet(frames: np.ndarray) -> np.ndarray:
    """All frames side by side, row by row."""
    rows = -(-len(frames) // _COLUMNS)
    padded = np.zeros((rows * _COLUMNS, *frames.shape[1:]), np.uint8)
    padded[: len(frames)] = frames
    return np.concatenate([np.concatenate(list(row), axis=1) for row in np.split(padded, rows)])


def line(seams: Seams) -> str:
    closing = "" if seams.closing is None else f"{seams.closing:.2f}"
    said = "yes" if seams.is_met else "NO"
    return (
        f"| {seams.windows} | {seams.border:.2f} | {seams.inside:.2f} | {seams.ratio:.2f} "
        f"| {seams.largest:.2f} | {closing} | {said} |"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--frames", type=int, default=65)
    parser.add_argument("--clips", type=int, default=len(PROMPTS))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--windows", nargs="+", default=WINDOWS)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as home:
        studio = Studio(Path(home))
        table = [measure(studio, text, options) for text in options.windows]
    print("| windows | jumps at borders | inside | ratio | largest | end to start | ≤ 1.10 |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for seams in table:
        print(line(seams))
    told = [{**asdict(seams), "ratio": seams.ratio, "met": seams.is_met} for seams in table]
    report = {"frames": options.frames, "clips": options.clips, "steps": options.steps, "target": TARGET}
    print(save("seams", {**report, "table": told}))


if __name__ == "__main__":
    main()
