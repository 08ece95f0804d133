"""The demo world draws what its scenes say; judged by the benchmark's classical detector."""

import random

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from benchmarks import detector
from wan_core.training.captions import caption
from wan_core.training.world import (
    BACKGROUNDS,
    COLOURS,
    JOURNEY,
    MOTIONS,
    SHAPES,
    Scene,
    Thing,
    combinations,
    draw,
    held_out,
    random_scene,
)


def pixels(scene: Scene, frames: int = JOURNEY):
    clip = draw(scene, frames)
    assert clip.shape == (3, frames, 64, 64) and clip.min() >= -1 and clip.max() <= 1
    return ((clip + 1) * 127.5).byte().permute(1, 2, 3, 0).numpy()


def test_the_world_is_as_large_as_promised():
    assert (len(COLOURS), len(SHAPES), len(MOTIONS), len(BACKGROUNDS)) == (6, 4, 6, 4)
    assert len(combinations()) == 576


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("motion", MOTIONS)
def test_every_drawing_is_recognised(shape, motion):
    rng = random.Random(f"{shape} {motion}")
    for colour in COLOURS:
        background = rng.choice(list(BACKGROUNDS))
        thing = Thing(colour, shape, motion, rng.uniform(11, 14), rng.random(), rng.random())
        seen = detector.detect(pixels(Scene((thing,), background)))
        assert seen == detector.Sighting(colour, shape, motion, background)


@pytest.mark.parametrize(
    ("shape", "corners"),
    [
        ("square", [(20, 20), (32, 22), (44, 20), (42, 32), (44, 44), (32, 42), (20, 44), (22, 32)]),
        ("triangle", [(32, 18), (36, 32), (46, 44), (32, 42), (18, 44), (28, 32)]),
        ("circle", [(32, 19), (42, 22), (45, 32), (42, 42), (32, 45), (22, 42), (19, 32), (22, 22)]),
        (
            "star",
            [
                (32, 17),
                (36, 29),
                (47, 28),
                (39, 35),
                (42, 46),
                (32, 41),
                (22, 46),
                (25, 35),
                (17, 28),
                (28, 29),
            ],
        ),
    ],
)
def test_a_bent_outline_is_told_by_what_it_resembles_most(shape, corners):
    picture = Image.new("RGB", (64, 64), detector.BACKGROUNDS["grey"])
    ImageDraw.Draw(picture).polygon(corners, fill=detector.PALETTE["green"])
    assert detector.detect(np.stack([np.asarray(picture)] * 5)).shape == shape


def test_an_empty_clip_shows_nothing():
    seen = detector.detect(pixels(Scene((), "sky")))
    assert seen == detector.Sighting("nothing", "nothing", "nothing", "sky")


def test_held_out_combinations_never_appear_in_training():
    kept_out = [c for c in combinations() if held_out(Thing(*c[:3], 12, 0, 0), c[3])]
    assert len(kept_out) == 69
    rng = random.Random(1)
    for _ in range(2000):
        scene = random_scene(rng)
        assert not any(held_out(thing, scene.background) for thing in scene.things)


def test_a_later_window_continues_the_clip():
    scene = Scene((Thing("red", "star", "bounce", 12, 0.4, 0.5),), "night")
    assert torch.equal(draw(scene, 5, first=6), draw(scene, 17)[:, 6:11])


def test_captions_name_everything_in_both_languages():
    rng = random.Random(3)
    scene = Scene((Thing("red", "star", "left", 12, 0.4, 0.5),), "night")
    english = {caption(scene, rng, chinese=0.0) for _ in range(200)}
    chinese = {caption(scene, rng, chinese=1.0) for _ in range(200)}
    assert len(english) > 60 and len(chinese) > 10
    assert all("red" in text and "star" in text and "night" in text for text in english)
    assert all("红色" in text and "星" in text and ("向左" in text or "往左" in text) for text in chinese)
