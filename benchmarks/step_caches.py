"""What does skipping steps gain, and what does it change? Every step cache beside the uncached run.

    python -m benchmarks.step_caches [--steps 50] [--clips 2] [--rounds 3]

The demo model makes the same clips, in float32, with each cache and without one, all in turns. Seconds are
medians over clips and rounds of one core's own time spent denoising, which a busy machine changes little.
PSNR and SSIM compare the finished frames with those of the uncached run. Prints the table and saves it.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.quantization import Demo, ignore, psnr
from benchmarks.report import save
from wan_core.acceleration.levels import LEVELS
from wan_core.acceleration.magcache import MagCache, Magnitudes
from wan_core.acceleration.table import CACHES, Run, make_step_cache
from wan_core.catalog import find_model
from wan_core.pipelines.conditioning.types import Conditioning
from wan_core.pipelines.decoding import decode_frames
from wan_core.pipelines.denoise import Sampling, denoise
from wan_core.pipelines.guidance import Guidance
from wan_core.schedulers import make_scheduler

Setting = tuple[str, float]
UNCACHED: Setting = ("off", 0.0)

_SIGMA, _REACH = 1.5, 5  # pixels: the window that SSIM is known with
_STABLE = (0.01 * 255) ** 2, (0.03 * 255) ** 2


@dataclass(frozen=True)
class Figures:
    """A method with a threshold; ``computed`` of all steps, in the mean over the clips.

    ``psnr`` is in decibels, None where the frames are equal.
    """

    method: str
    threshold: float
    computed: float
    seconds: float
    speed_up: float
    psnr: float | None
    ssim: float


def settings() -> list[Setting]:
    """Each method at its two levels and beyond them."""
    rows = []
    for method, row in CACHES.items():
        low, high = row.thresholds
        rows += [(method, round(threshold, 4)) for threshold in (low, high, 2 * high)]
    return rows


def ssim(found: np.ndarray, expected: np.ndarray) -> float:
    """Mean structural similarity of 8-bit frames (T, H, W, 3), in brightness, frame by frame."""
    one, two = (torch.tensor(frames, dtype=torch.float64).mean(dim=-1) for frames in (found, expected))
    steps = torch.arange(-_REACH, _REACH + 1, dtype=torch.float64)
    weights = torch.softmax(-(steps**2) / (2 * _SIGMA**2), dim=0)
    window = torch.outer(weights, weights)[None, None]

    def blurred(frames: torch.Tensor) -> torch.Tensor:
        return F.conv2d(frames[:, None], window)

    mean1, mean2 = blurred(one), blurred(two)
    spread1, spread2 = blurred(one * one) - mean1**2, blurred(two * two) - mean2**2
    shared = blurred(one * two) - mean1 * mean2
    same_light = (2 * mean1 * mean2 + _STABLE[0]) / (mean1**2 + mean2**2 + _STABLE[0])
    same_form = (2 * shared + _STABLE[1]) / (spread1 + spread2 + _STABLE[1])
    return float((same_light * same_form).mean())


class Trials:
    """The clips of the demo model under every setting."""

    def __init__(self, steps: int, clips: int) -> None:
        self.demo = Demo(find_model("demo"), steps, clips)
        self.magnitudes: Magnitudes | None = None
        self.run(UNCACHED, 0)
        self.magnitudes = self._measured()

    def run(self, setting: Setting, clip: int) -> tuple[torch.Tensor, float, int]:
        """The latents of a clip, the seconds they took, and how many steps were computed."""
        defaults = self.demo.spec.defaults
        scheduler = make_scheduler("unipc", self.demo.steps, defaults.shift, torch.Generator())
        cache = make_step_cache(*setting, Run(tuple(scheduler.sigmas), "", self.magnitudes))
        sampling = Sampling(scheduler, Guidance(defaults.guidance_scale), cache=cache)
        started = time.process_time()
        latents = denoise(
            self.demo.transformer,
            self.demo.noises[clip],
            self.demo.prompts,
            Conditioning(),
            sampling,
            lambda *_: None,
        )
        skipped = len(cache.skipped) if setting != UNCACHED else 0
        self.last = cache
        return latents, time.process_time() - started, self.demo.steps - skipped

    def _measured(self) -> Magnitudes | None:
        self.run(("magcache", 1.0), 0)
        return self.last.measured if isinstance(self.last, MagCache) else None

    def frames(self, latents: torch.Tensor) -> np.ndarray:
        return np.concatenate(list(decode_frames(self.demo.vae, latents, ignore)))


def compare(trials: Trials, asked: Sequence[Setting], clips: int, rounds: int) -> list[Figures]:
    """All settings in turns, round after round."""
    seconds: dict[Setting, list[float]] = {setting: [] for setting in (UNCACHED, *asked)}
    made: dict[tuple[Setting, int], tuple[np.ndarray, int]] = {}
    for _ in range(rounds):
        for clip in range(clips):
            for setting in seconds:
                latents, took, computed = trials.run(setting, clip)
                seconds[setting].append(took)
                if (setting, clip) not in made:
                    made[setting, clip] = trials.frames(latents), computed
    whole = statistics.median(seconds[UNCACHED])
    table = []
    for setting in seconds:
        pairs = [(made[setting, clip][0], made[UNCACHED, clip][0]) for clip in range(clips)]
        took = statistics.median(seconds[setting])
        decibels = float(np.mean([psnr(*pair) for pair in pairs]))
        table.append(
            Figures(
                *setting,
                computed=statistics.mean(made[setting, clip][1] for clip in range(clips)),
                seconds=took,
                speed_up=whole / took,
                psnr=decibels if math.isfinite(decibels) else None,
                ssim=float(np.mean([ssim(*pair) for pair in pairs])),
            )
        )
    return table


def row(figures: Figures, steps: int) -> str:
    decibels = "∞" if figures.psnr is None else f"{figures.psnr:.1f}"
    return (
        f"| {figures.method} | {figures.threshold:g} | {figures.computed:g} of {steps} "
        f"| {figures.seconds:.2f} | {figures.speed_up:.2f} | {decibels} | {figures.ssim:.4f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--clips", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    trials = Trials(options.steps, options.clips)
    table = compare(trials, settings(), options.clips, options.rounds)
    print("| method | threshold | computed | s | times faster | PSNR, dB | SSIM |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for figures in table:
        print(row(figures, options.steps))
    report = {**vars(options), "levels": LEVELS, "table": [asdict(figures) for figures in table]}
    print(save(f"step-caches-{options.steps}", report))


if __name__ == "__main__":
    main()
