"""The demo model's world: flat shapes that move over plain backgrounds, and sentences that say so.

A ``Scene`` is drawn exactly (anti-aliased from signed distances), so training data is endless and every
generated video can be judged against its own sentence.
"""

from __future__ import annotations

import itertools
import math
import random
import zlib
from dataclasses import dataclass

import torch
from torch import Tensor

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "red": (222, 44, 48),
    "yellow": (247, 215, 52),
    "green": (46, 178, 78),
    "blue": (38, 82, 224),
    "purple": (156, 56, 196),
    "white": (246, 246, 246),
}
SHAPES = ("circle", "square", "triangle", "star")
MOTIONS = ("left", "right", "up", "down", "grow", "bounce")
BACKGROUNDS: dict[str, Colour] = {  # at the top edge; the bottom is a little darker
    "night": (8, 10, 26),
    "grey": (122, 122, 126),
    "sky": (142, 194, 238),
    "earth": (112, 78, 52),
}
JOURNEY = 17  # frames
_SHADE = 0.85  # how dark the bottom edge is against the top


@dataclass(frozen=True)
class Thing:
    """One moving shape: ``size`` is its radius, ``place`` its lane in [0, 1] across the motion."""

    colour: str
    shape: str
    motion: str
    size: float
    place: float
    phase: float


@dataclass(frozen=True)
class Scene:
    things: tuple[Thing, ...]
    background: str


def held_out(thing: Thing, background: str) -> bool:
    """Whether this combination is kept out of training: about one in ten, fixed by its name."""
    name = f"{thing.colour} {thing.shape} {thing.motion} {background}"
    return zlib.crc32(name.encode()) % 10 == 0


def combinations() -> list[tuple[str, str, str, str]]:
    """All (colour, shape, motion, background)."""
    return list(itertools.product(COLOURS, SHAPES, MOTIONS, BACKGROUNDS))


def random_scene(rng: random.Random, two: float = 0.15) -> Scene:
    """A scene of the training world; with probability ``two`` it has two things."""
    background = rng.choice(list(BACKGROUNDS))
    if rng.random() < two:
        motions = ("left", "right") if rng.random() < 0.5 else ("up", "down")
        lanes = [rng.uniform(0.05, 0.2), rng.uniform(0.8, 0.95)]
        rng.shuffle(lanes)
        return Scene(tuple(_thing(rng, background, motions, 8.0, 10.0, lane) for lane in lanes), background)
    return Scene((_thing(rng, background, MOTIONS, 11.0, 14.0, rng.random()),), background)


def _thing(
    rng: random.Random, background: str, motions: tuple[str, ...], small: float, large: float, place: float
) -> Thing:
    while True:
        thing = Thing(
            colour=rng.choice(list(COLOURS)),
            shape=rng.choice(SHAPES),
            motion=rng.choice(motions),
            size=rng.uniform(small, large),
            place=place,
            phase=rng.random(),
        )
        if not held_out(thing, background):
            return thing


def draw(scene: Scene, frames: int, first: int = 0, size: int = 64) -> Tensor:
    """The scene from frame ``first`` on, as a clip (3, frames, size, size) of values in [-1, 1].

    A journey takes ``JOURNEY`` frames, or all the frames of a longer clip.
    """
    time = torch.arange(first, first + frames) / (max(JOURNEY, first + frames) - 1)
    shade = torch.linspace(1.0, _SHADE, size).view(1, 1, size, 1)
    clip = _rgb(BACKGROUNDS[scene.background]).expand(3, frames, size, size) * shade
    for thing in scene.things:
        x, y, radius = _path(thing, time, size)
        grid = torch.arange(size) + 0.5
        dx = grid.view(1, 1, size) - x.view(-1, 1, 1)
        dy = grid.view(1, size, 1) - y.view(-1, 1, 1)
        cover = (0.5 - _DISTANCE[thing.shape](dx, dy, radius.view(-1, 1, 1))).clamp(0, 1)
        clip = clip + cover.unsqueeze(0) * (_rgb(COLOURS[thing.colour]) - clip)
    return clip * 2 - 1


def _rgb(colour: Colour) -> Tensor:
    return torch.tensor(colour, dtype=torch.float32).view(3, 1, 1, 1) / 255


def _path(thing: Thing, time: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Centre x, centre y and radius in pixels at each moment, 0 the journey's start and 1 its end."""
    unit = size / 64
    radius = torch.full_like(time, thing.size * unit)
    near, far = (thing.size + 1) * unit, size - (thing.size + 1) * unit
    lane = torch.full_like(time, near + (far - near) * thing.place)
    slack = (far - near) * 0.15 * thing.phase  # where in the free room the journey starts
    onward = near + slack + (far - near) * 0.85 * time
    match thing.motion:
        case "right":
            return onward, lane, radius
        case "left":
            return size - onward, lane, radius
        case "down":
            return lane, onward, radius
        case "up":
            return lane, size - onward, radius
        case "grow":
            middle = size / 2 + (lane - size / 2) * 0.3
            return middle, torch.full_like(time, size / 2), (5 + (thing.size + 1) * time) * unit
        case _:  # bounce: two hops on the floor
            hops = torch.sin(math.pi * (2 * time)).abs()
            return lane, far - (far - near) * 0.6 * hops, radius


def _circle(dx: Tensor, dy: Tensor, radius: Tensor) -> Tensor:
    return (dx.square() + dy.square()).sqrt() - radius * 0.95


def _square(dx: Tensor, dy: Tensor, radius: Tensor) -> Tensor:
    return torch.maximum(dx.abs(), dy.abs()) - radius * 0.84


def _triangle(dx: Tensor, dy: Tensor, radius: Tensor) -> Tensor:
    base = dy - radius * 0.75
    side = dx.abs() * 0.8944 - (dy + radius * 1.05) * 0.4472
    return torch.maximum(base, side)


def _star(dx: Tensor, dy: Tensor, radius: Tensor) -> Tensor:
    """Five points: fold the plane into half a point, then the distance to its straight edge."""
    angle = torch.atan2(dx, -dy)  # from the upper point, clockwise
    wedge = 2 * math.pi / 5
    folded = (torch.remainder(angle + wedge / 2, wedge) - wedge / 2).abs()
    length = (dx.square() + dy.square()).sqrt()
    u, v = length * folded.cos(), length * folded.sin()
    inner_u, inner_v = 0.45 * math.cos(wedge / 2), 0.45 * math.sin(wedge / 2)
    outer = 1.1
    normal = math.hypot(inner_v, outer - inner_u)
    return ((u - outer * radius) * inner_v + v * (outer - inner_u)) / normal


_DISTANCE = {"circle": _circle, "square": _square, "triangle": _triangle, "star": _star}
