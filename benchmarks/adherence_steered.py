"""Pictures, videos, masks and outlines: do the demo models keep to what they are given, and to the prompt?

Scenes are drawn by the world that the models were trained on, from combinations that they were and were
not shown, and at places that they were not.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from benchmarks.adherence_studio import Row, Studio, pixels
from benchmarks.detector import Sighting, detect, is_smooth, overlap, psnr, thing_masks
from wan_core.pipelines.conditioning import masks
from wan_core.pipelines.conditioning.masks import PixelBox
from wan_core.training.captions import caption
from wan_core.training.vace_examples import journey_box
from wan_core.training.world import BACKGROUNDS, COLOURS, SHAPES, Scene, Thing, combinations, draw

FRAMES, SIZE = 17, 64
STRENGTHS = (0.3, 0.6, 0.9)
_MARGIN = 4  # pixels around the journey of what is painted over


@dataclass(frozen=True)
class Case:
    """One scene to begin from, and a seed."""

    scene: Scene
    seed: int
    rng: random.Random

    @property
    def thing(self) -> Thing:
        return self.scene.things[0]

    @property
    def wanted(self) -> Sighting:
        thing = self.thing
        return Sighting(thing.colour, thing.shape, thing.motion, self.scene.background)

    def clip(self, first: int = 0) -> np.ndarray:
        """(T, H, W, 3), from frame ``first`` of the scene on."""
        return pixels(draw(self.scene, FRAMES, first, SIZE))

    def prompt(self, scene: Scene | None = None) -> str:
        return caption(scene or self.scene, self.rng, chinese=0.0)


def cases(name: str, every: int) -> Iterator[Case]:
    """Every n-th combination, at places and in sizes of its own."""
    for seed, (colour, shape, motion, background) in enumerate(combinations()):
        if seed % every == 0:
            rng = random.Random(f"{name} {seed}")
            thing = Thing(colour, shape, motion, rng.uniform(11, 14), rng.random(), rng.random())
            yield Case(Scene((thing,), background), seed, rng)


def image_rows(studio: Studio, every: int) -> list[Row]:
    """From a first frame; half of them are midway, where the picture alone does not tell the motion."""
    likeness, moved, midway = [], [], []
    for number, case in enumerate(cases("image", every)):
        first = 8 * (number % 2)
        picture = case.clip(first)[0]
        frames = studio.make(
            "demo-image", "i2v", case.prompt(), case.seed, image=studio.keep_picture(picture)
        )
        likeness.append(psnr(frames[0], picture))
        moved.append(detect(frames).motion == case.thing.motion)
        if first:
            midway.append(moved[-1])
    return [
        Row("I2V first frame", fmean(likeness), 25.0, "dB"),
        Row("I2V motion as prompted", fmean(moved), 0.85),
        Row("I2V motion as prompted, from midway", fmean(midway)),
    ]


def both_ends_rows(studio: Studio, every: int) -> list[Row]:
    """From a first and a last frame."""
    likeness, plausible = [], []
    for case in cases("ends", every):
        clip = case.clip()
        first, last = studio.keep_picture(clip[0]), studio.keep_picture(clip[-1])
        frames = studio.make("demo-image", "flf2v", case.prompt(), case.seed, image=first, last_image=last)
        likeness.append(psnr(frames[-1], clip[-1]))
        plausible.append(is_smooth(thing_masks(frames)) and detect(frames).motion == case.thing.motion)
    return [
        Row("FLF last frame", fmean(likeness), 24.0, "dB"),
        Row("FLF smooth path of the prompted motion", fmean(plausible), 0.85),
    ]


def video_rows(studio: Studio, every: int) -> list[Row]:
    """A video begun from another: the further away, the stronger."""
    distances: dict[float, list[float]] = {strength: [] for strength in STRENGTHS}
    for case in cases("video", every):
        source = case.clip()
        video, prompt = studio.keep_video(source), case.prompt(_recast(case))
        for strength in STRENGTHS:
            frames = studio.make("demo", "v2v", prompt, case.seed, video=video, strength=strength)
            error = frames.astype(np.float64) - source
            distances[strength].append(float(np.sqrt((error**2).mean())))
    steps = [list(values) == sorted(values) for values in zip(*distances.values(), strict=True)]
    told = [Row(f"V2V distance at {s}", fmean(values), unit="of 255") for s, values in distances.items()]
    means = [row.value for row in told]
    return [
        *told,
        Row("V2V moves away, on average", float(means == sorted(means)), 1.0),
        Row("V2V moves away, single videos", fmean(steps)),
    ]


def inpainting_rows(studio: Studio, every: int) -> list[Row]:
    """The journey of a thing is painted over, and another is asked for there.

    The studio puts what is kept back exactly; what the model alone makes of it is told, too.
    """
    likeness: dict[bool, list[float]] = {True: [], False: []}
    right = []
    for case in cases("inpainting", every):
        source, new, box = case.clip(), _recast(case), _region_of(case)
        prompt, video = case.prompt(new), studio.keep_video(source)
        region = tuple(side / SIZE for side in (box.left, box.top, box.right, box.bottom))
        kept = masks.outside_mask(box, SIZE, SIZE)[0] > 0
        for exact, found in likeness.items():
            fields = {"video": video, "mask_builder": "region", "region": region, "keep_exact": exact}
            frames = studio.make("demo-vace", "control", prompt, case.seed, **fields)
            if kept.any():
                found.append(psnr(frames, source, kept))
            if exact:
                wanted = replace(case.wanted, colour=new.things[0].colour, shape=new.things[0].shape)
                right.append(detect(frames) == wanted)
    return [
        Row("VACE inpainting, kept region", fmean(likeness[True]), 30.0, "dB"),
        Row("VACE inpainting, kept region by the model alone", fmean(likeness[False]), unit="dB"),
        Row("VACE inpainting, filled as prompted", fmean(right), 0.80),
    ]


def edge_rows(studio: Studio, every: int) -> list[Row]:
    """The outlines of a video steer another, of other colours."""
    alike, coloured = [], []
    for case in cases("edges", every):
        source, new = case.clip(), _recoloured(case)
        frames = studio.make(
            "demo-vace",
            "control",
            case.prompt(new),
            case.seed,
            video=studio.keep_video(source),
            preprocess="canny",
        )
        alike.append(overlap(thing_masks(frames), thing_masks(source)))
        seen = detect(frames)
        coloured.append((seen.colour, seen.background) == (new.things[0].colour, new.background))
    return [
        Row("Edge control, overlap with the outline (IoU)", fmean(alike), 0.70),
        Row("Edge control, colours as prompted", fmean(coloured)),
    ]


SUITES: dict[str, tuple[str, Callable[[Studio, int], list[Row]]]] = {
    "i2v": ("demo-image", image_rows),
    "flf": ("demo-image", both_ends_rows),
    "v2v": ("demo", video_rows),
    "inpainting": ("demo-vace", inpainting_rows),
    "edges": ("demo-vace", edge_rows),
}
"""What is measured: the model that it needs, and the rows that it gives for every n-th combination."""


def _region_of(case: Case) -> PixelBox:
    """The box around a thing's journey, with a margin."""
    box = journey_box(case.thing, case.scene.background, FRAMES)
    low, high = (max(side - _MARGIN, 0) for side in (box.left, box.top)), (box.right, box.bottom)
    return PixelBox(*low, *(min(side + _MARGIN, SIZE) for side in high))


def _other(rng: random.Random, choices: tuple[str, ...], than: str) -> str:
    return rng.choice([choice for choice in choices if choice != than])


def _recast(case: Case) -> Scene:
    """The same motion at the same place, of a thing of another colour and shape."""
    colour = _other(case.rng, tuple(COLOURS), case.thing.colour)
    shape = _other(case.rng, SHAPES, case.thing.shape)
    return replace(case.scene, things=(replace(case.thing, colour=colour, shape=shape),))


def _recoloured(case: Case) -> Scene:
    """The same shape and motion in another colour, before another background."""
    colour = _other(case.rng, tuple(COLOURS), case.thing.colour)
    background = _other(case.rng, tuple(BACKGROUNDS), case.scene.background)
    return Scene((replace(case.thing, colour=colour),), background)
