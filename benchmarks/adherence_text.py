"""Text to video: does the demo model show what its prompts say?"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.adherence_studio import Row, Studio
from benchmarks.detector import Sighting, detect
from wan_core.training.captions import caption
from wan_core.training.world import Scene, Thing, combinations, held_out

GROUPS = ("trained", "held out", "Chinese")
TARGETS = {"colour": 0.95, "background": 0.95, "shape": 0.90, "motion": 0.90}
HELD_OUT_TARGET = 0.85


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


def measure(studio: Studio, every: int) -> list[Outcome]:
    """Every prompt of the grid, made and looked at."""
    return [
        Outcome(group, prompt, seed, wanted, detect(studio.make("demo", "t2v", prompt, seed)))
        for group, prompt, seed, wanted in grid(every)
    ]


def table(outcomes: list[Outcome]) -> dict[str, dict[str, float]]:
    """Group -> trait -> share that was right."""
    rows = {}
    for group in (*GROUPS, "all"):
        members = [o for o in outcomes if group in ("all", o.group)]
        shares = {trait: sum(o.right(trait) for o in members) / len(members) for trait in TARGETS}
        rows[group] = {**shares, "all right": sum(o.all_right for o in members) / len(members)}
    return rows


def text_rows(shares: dict[str, dict[str, float]]) -> list[Row]:
    """What is promised of text to video."""
    traits = [Row(f"T2V {trait}", shares["all"][trait], target) for trait, target in TARGETS.items()]
    held = Row("T2V held-out combinations, all right", shares["held out"]["all right"], HELD_OUT_TARGET)
    return [*traits, held]
