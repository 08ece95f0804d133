"""What does each option of guidance cost, and how much does it change? Which sampler needs how many steps?

    python -m benchmarks.guidance [--steps 20] [--clips 2] [--rounds 3]

The demo model makes the same clips, in float32, with each option and without any, all in turns. Seconds are
medians over clips and rounds of one core's own time spent denoising, which a busy machine changes little.
PSNR and SSIM compare the finished frames with those of the plain run: they say how much an option changes the
picture, not whether it is a better one. Samplers that add no noise are compared with where a run of 200 steps
ends. Prints both tables and saves them.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.quantization import Demo, ignore, psnr
from benchmarks.report import save
from benchmarks.step_caches import ssim
from wan_core.catalog import find_model
from wan_core.pipelines.conditioning.types import Conditioning
from wan_core.pipelines.decoding import decode_frames
from wan_core.pipelines.denoise import Sampling, denoise
from wan_core.pipelines.guidance import Guidance
from wan_core.pipelines.prompt_encoding import PromptEmbeds
from wan_core.schedulers import make_scheduler
from wan_core.schema.guidance import GuidanceOptions
from wan_core.schema.request import SchedulerName

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "guidance to 0.5": {"guidance_end": 0.5},
    "guidance from 0.2": {"guidance_start": 0.2},
    "guidance falls to 1.5": {"guidance_scale_end": 1.5},
    "CFG-Zero*": {"cfg_zero": True},
    "CFG-Zero*, first step still": {"cfg_zero": True, "zero_init_steps": 1},
    "layer 3 skipped, negative pass": {"skip_blocks": (3,)},
    "layer 3 skipped, third pass": {"skip_blocks": (3,), "skip_mode": "third"},
    "NAG 11": {"nag_scale": 11.0},
    "Enhance-A-Video 2": {"enhance_video": 2.0},
    "FreSca, fine 1.25": {"fresca_high": 1.25},
    "ends after 3/4 of the steps": {"end_step": 15},
}
SAMPLERS: tuple[SchedulerName, ...] = ("unipc", "dpm++", "res_multistep", "deis", "euler")
FEW = (5, 10, 20, 40)
REFERENCE_STEPS = 200


@dataclass(frozen=True)
class Figures:
    """An option: passes of a step in the mean, and what it changes; ``psnr`` is None where nothing."""

    option: str
    passes: float
    seconds: float
    speed_up: float
    psnr: float | None
    ssim: float


@dataclass(frozen=True)
class Reached:
    """How near a sampler comes with so many steps, in decibels."""

    sampler: SchedulerName
    steps: int
    psnr: float


class Trials:
    """The clips of the demo model."""

    def __init__(self, steps: int, clips: int) -> None:
        self.demo = Demo(find_model("demo"), steps, clips)
        self.scale = self.demo.spec.defaults.guidance_scale

    def frames(self, latents: torch.Tensor) -> np.ndarray:
        return np.concatenate(list(decode_frames(self.demo.vae, latents, ignore)))

    def run(
        self, clip: int, options: GuidanceOptions, sampler: SchedulerName = "unipc", steps: int | None = None
    ) -> tuple[torch.Tensor, float]:
        """The latents of a clip, and the seconds that they took."""
        steps = steps or self.demo.steps
        scheduler = make_scheduler(sampler, steps, self.demo.spec.defaults.shift, torch.Generator())
        if options.end_step is not None:
            scheduler.end(options.steps_taken(steps))
        prompts = self.demo.prompts
        if not options.guides(self.scale) and not options.reads_negative:
            prompts = PromptEmbeds(prompts.positive, None)
        sampling = Sampling(scheduler, Guidance(self.scale, options=options))
        started = time.process_time()
        latents = denoise(
            self.demo.transformer,
            self.demo.noises[clip],
            prompts,
            Conditioning(),
            sampling,
            lambda *_: None,
        )
        return latents, time.process_time() - started


def compare(trials: Trials, clips: int, rounds: int) -> list[Figures]:
    """All options in turns, round after round."""
    seconds: dict[str, list[float]] = {name: [] for name in OPTIONS}
    made: dict[tuple[str, int], np.ndarray] = {}
    asked = {name: GuidanceOptions(**options) for name, options in OPTIONS.items()}
    for _ in range(rounds):
        for clip in range(clips):
            for name, options in asked.items():
                latents, took = trials.run(clip, options)
                seconds[name].append(took)
                if (name, clip) not in made:
                    made[name, clip] = trials.frames(latents)
    whole = statistics.median(seconds["plain"])
    table = []
    for name, options in asked.items():
        pairs = [(made[name, clip], made["plain", clip]) for clip in range(clips)]
        decibels = float(np.mean([psnr(*pair) for pair in pairs]))
        taken = options.steps_taken(trials.demo.steps)
        took = statistics.median(seconds[name])
        table.append(
            Figures(
                option=name,
                passes=options.mean_passes(taken, trials.scale) * taken / trials.demo.steps,
                seconds=took,
                speed_up=whole / took,
                psnr=decibels if math.isfinite(decibels) else None,
                ssim=float(np.mean([ssim(*pair) for pair in pairs])),
            )
        )
    return table


def reached(trials: Trials, clips: int) -> list[Reached]:
    """Every sampler with few steps, beside the longest run."""
    plain = GuidanceOptions()
    ends = [trials.frames(trials.run(clip, plain, "unipc", REFERENCE_STEPS)[0]) for clip in range(clips)]
    return [
        Reached(
            sampler,
            steps,
            float(
                np.mean(
                    [
                        psnr(trials.frames(trials.run(clip, plain, sampler, steps)[0]), ends[clip])
                        for clip in range(clips)
                    ]
                )
            ),
        )
        for sampler in SAMPLERS
        for steps in FEW
    ]


def show(table: list[Figures], samplers: list[Reached]) -> None:
    print("| option | passes a step | s | times as fast | PSNR, dB | SSIM |")
    print("|---|---:|---:|---:|---:|---:|")
    for row in table:
        decibels = "∞" if row.psnr is None else f"{row.psnr:.1f}"
        print(
            f"| {row.option} | {row.passes:.2f} | {row.seconds:.2f} | {row.speed_up:.2f} "
            f"| {decibels} | {row.ssim:.4f} |"
        )
    print(f"\n| sampler | {' | '.join(f'{steps} steps' for steps in FEW)} |")
    print(f"|---|{'---:|' * len(FEW)}")
    for name in SAMPLERS:
        found = [f"{row.psnr:.1f}" for row in samplers if row.sampler == name]
        print(f"| {name} | {' | '.join(found)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--clips", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    trials = Trials(options.steps, options.clips)
    table, samplers = compare(trials, options.clips, options.rounds), reached(trials, options.clips)
    show(table, samplers)
    report = {
        **vars(options),
        "options": [asdict(row) for row in table],
        "samplers": [asdict(row) for row in samplers],
    }
    print(save("guidance", report))


if __name__ == "__main__":
    main()
