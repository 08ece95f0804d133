"""Does the demo model show what its prompts say? Generates a fixed grid and measures it.

    python benchmarks/demo_adherence.py [--quick] [--save]

Every prompt is run through the normal engine; its video file is read back and judged by the classical
detector of ``detector.py``. Also measures the VAE's reconstruction of unseen whole clips.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a file

from benchmarks.detector import Sighting, detect
from benchmarks.report import save
from wan_core.catalog import MODELS, Role
from wan_core.engine import Engine
from wan_core.manager.loading import load_vae
from wan_core.media.read import read_video
from wan_core.schema import GenerationRequest, Settings
from wan_core.training.captions import caption
from wan_core.training.vae_training import reconstruction_psnr
from wan_core.training.world import Scene, Thing, combinations, held_out

GROUPS = ("trained", "held out", "Chinese")
TARGETS = {"colour": 0.95, "background": 0.95, "shape": 0.90, "motion": 0.90}
HELD_OUT_TARGET, PSNR_TARGET = 0.85, 28.0


@dataclass(frozen=True)
class Outcome:
    group: str
    prompt: str
    seed: int
    wanted: Sighting
    seen: Sighting

    def right(self, trait: str) -> bool:
        return getattr(self.wanted, trait) == getattr(self.seen, trait)

    @property
    def all_right(self) -> bool:
        return self.wanted == self.seen


def grid(every: int) -> Iterable[tuple[str, str, int, Sighting]]:
    """(group, prompt, seed, wanted): all held-out combinations, and every n-th trained one."""
    rng = random.Random("adherence")
    for index, (colour, shape, motion, background) in enumerate(combinations()):
        thing = Thing(colour, shape, motion, 12.0, 0.5, 0.5)
        scene, wanted = Scene((thing,), background), Sighting(colour, shape, motion, background)
        if held_out(thing, background):
            yield "held out", caption(scene, rng, chinese=0.0), index, wanted
        elif index % every == 0:
            yield "trained", caption(scene, rng, chinese=0.0), index, wanted
        elif index % every == 1:
            yield "Chinese", caption(scene, rng, chinese=1.0), index, wanted


def measure(engine: Engine, every: int) -> list[Outcome]:
    outcomes = []
    for group, prompt, seed, wanted in grid(every):
        request = GenerationRequest(model="demo", prompt=prompt, seed=seed, preview_every=0)
        result = engine.generate(request, lambda event: None, f"adherence-{seed}")
        outcomes.append(Outcome(group, prompt, seed, wanted, detect(read_video(result.video).frames)))
    return outcomes


def table(outcomes: list[Outcome]) -> dict[str, dict[str, float]]:
    """Group -> trait -> share that was right."""
    rows = {}
    for group in (*GROUPS, "all"):
        members = [o for o in outcomes if group in ("all", o.group)]
        shares = {trait: sum(o.right(trait) for o in members) / len(members) for trait in TARGETS}
        rows[group] = {**shares, "all right": sum(o.all_right for o in members) / len(members)}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a quarter of the trained combinations")
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results")
    args = parser.parse_args()
    started = time.perf_counter()
    spec = MODELS["demo"]
    with tempfile.TemporaryDirectory() as home:
        outcomes = measure(Engine(Settings(home=Path(home), offline=True)), 24 if args.quick else 6)
    psnr = reconstruction_psnr(load_vae(spec.folder, spec.weights[Role.VAE].files, torch.float32))
    rows = table(outcomes)
    print(f"{'':10}" + "".join(f"{name:>12}" for name in rows["all"]))
    for group, row in rows.items():
        print(f"{group:10}" + "".join(f"{share:12.1%}" for share in row.values()))
    for trait, target in TARGETS.items():
        print(f"{trait}: {rows['all'][trait]:.1%}, target {target:.0%}")
    print(
        f"held-out combinations all right: {rows['held out']['all right']:.1%}, target {HELD_OUT_TARGET:.0%}"
    )
    print(f"reconstruction: {psnr:.2f} dB, target {PSNR_TARGET} dB")
    print(f"{len(outcomes)} videos, {time.perf_counter() - started:.0f} s")
    if args.save:
        wrong = [asdict(o) for o in outcomes if not o.all_right]
        save("demo_adherence", {"videos": len(outcomes), "shares": rows, "psnr": psnr, "wrong": wrong})


if __name__ == "__main__":
    main()
