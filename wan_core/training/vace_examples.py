"""What a VACE model learns from: a scene, what is given of it, and where it is to be made anew."""

# T frames, H W pixels

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wan_core.media.fitting import PixelBox
from wan_core.media.preprocess import PREPROCESSORS
from wan_core.pipelines.conditioning import masks
from wan_core.pipelines.conditioning.vace import letterbox
from wan_core.training.world import BACKGROUNDS, Scene, Thing, draw, random_scene

SIZE = 64
REFERENCE = "reference"

CLIPS_PER_GROUP = {"17": 6000, f"17-{REFERENCE}": 1500, "9": 350, "13": 350, "21": 350, "25": 350}
"""The frames of a clip, and whether a picture shows who is to appear -> clips."""

_CONTROLS = {"canny": 0.5, "soft-edge": 0.35, "grey": 0.15}
_VISIBLE = 0.05  # difference from the empty scene that counts as part of a thing
_LEAST_SIDE = 16  # pixels of a region
_LETTERBOXED = 0.3  # share of references that are not of the clip's shape

Given = tuple[Tensor, Tensor]
"""Frames (3, T, H, W), 0 where nothing is given, and a mask (1, T, H, W), 1 where they are made anew."""


@dataclass(frozen=True)
class VaceExample:
    """One example: the clip that is to come out, and what goes in.

    Attributes:
        clip: (3, T, H, W) in [-1, 1].
        frames: the same shape; where the mask is 1, what steers, or 0.
        mask: (1, T, H, W), 1 = made anew.
        reference: (3, H, W), a picture of the scene's thing, or None.
    """

    clip: Tensor
    frames: Tensor
    mask: Tensor
    reference: Tensor | None = None


def vace_scene(group: str, index: int) -> Scene:
    """The scene behind an example; fixed for ever."""
    return random_scene(_dice("scene", group, index), two=0.0 if has_reference(group) else 0.25)


def vace_example(group: str, index: int) -> VaceExample:
    """The example ``index`` of a group; fixed for ever."""
    rng = _dice("example", group, index)
    scene = vace_scene(group, index)
    clip = draw(scene, int(group.partition("-")[0]), size=SIZE)
    kinds = _KINDS_WITH_REFERENCE if has_reference(group) else _KINDS
    (give,) = rng.choices(list(kinds), list(kinds.values()))
    frames, mask = give(scene, clip, rng)
    reference = _portrait(scene.things[0], rng) if has_reference(group) else None
    return VaceExample(clip, frames, mask, reference)


def journey_box(thing: Thing, background: str, frames: int) -> PixelBox:
    """The smallest box that holds a thing all the time."""
    alone, empty = (draw(Scene(things, background), frames, size=SIZE) for things in ((thing,), ()))
    seen = ((alone - empty).abs() > _VISIBLE).flatten(0, 1).any(dim=0)
    rows, columns = seen.any(dim=1).nonzero(), seen.any(dim=0).nonzero()
    return PixelBox(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def cut_out(clip: Tensor, mask: np.ndarray) -> Given:
    """A clip (3, T, H, W) without what is made anew; the mask broadcasts to (T, H, W)."""
    new = torch.from_numpy(mask > 0).expand(1, *clip.shape[1:])
    return clip.masked_fill(new, 0), new.float()


def draw_control(clip: Tensor, rng: random.Random) -> Tensor:
    """(3, T, H, W) in [-1, 1] -> the same shape: what the studio draws from a video to steer by."""
    (kind,) = rng.choices(list(_CONTROLS), list(_CONTROLS.values()))
    pixels = ((clip.permute(1, 2, 3, 0) + 1) * 127.5).round().to(torch.uint8).numpy()
    return torch.from_numpy(PREPROCESSORS[kind](pixels)).permute(3, 0, 1, 2).float() / 127.5 - 1


def has_reference(group: str) -> bool:
    """Whether a picture goes with the examples of a group."""
    return group.endswith(REFERENCE)


def _dice(what: str, group: str, index: int) -> random.Random:
    return random.Random(f"vace {what} {group} {index}")


def _nothing(scene: Scene, clip: Tensor, rng: random.Random) -> Given:
    return torch.zeros_like(clip), torch.ones_like(clip[:1])


def _region(scene: Scene, clip: Tensor, rng: random.Random) -> Given:
    """A box around a thing's whole journey, or any box or ellipse."""
    if rng.random() < 0.7:
        box = journey_box(rng.choice(scene.things), scene.background, clip.shape[1])
        room = [rng.randint(1, 12) for _ in range(4)]
        left, top = max(box.left - room[0], 0), max(box.top - room[1], 0)
        right, bottom = min(box.right + room[2], SIZE), min(box.bottom + room[3], SIZE)
        return cut_out(clip, masks.inside_mask(PixelBox(left, top, right, bottom), SIZE, SIZE))
    box = _any_box(rng, _LEAST_SIDE, SIZE)
    mask = masks.inside_mask(box, SIZE, SIZE)
    return cut_out(clip, _rounded(box) if rng.random() < 0.5 else mask)


def _outside(scene: Scene, clip: Tensor, rng: random.Random) -> Given:
    return cut_out(clip, masks.outside_mask(_any_box(rng, SIZE // 2, SIZE - 8), SIZE, SIZE))


def _frames(scene: Scene, clip: Tensor, rng: random.Random) -> Given:
    """The first, the last, both, some at either end, or any few frames stay."""
    length = clip.shape[1]
    some = min(rng.choice((5, 9)), length - 4)
    kept = rng.choice(
        (
            (0,),
            (0,),
            (-1,),
            (0, -1),
            (0, -1),
            tuple(range(some)),
            tuple(range(length - some, length)),
            tuple(rng.sample(range(length), rng.randint(2, 4))),
        )
    )
    return cut_out(clip, masks.frames_mask(kept, length))


def _control(scene: Scene, clip: Tensor, rng: random.Random) -> Given:
    return draw_control(clip, rng), torch.ones_like(clip[:1])


def _control_in_region(scene: Scene, clip: Tensor, rng: random.Random) -> Given:
    kept, mask = _region(scene, clip, rng)
    return torch.where(mask > 0.5, draw_control(clip, rng), kept), mask


Give = Callable[[Scene, Tensor, random.Random], Given]

_KINDS: dict[Give, float] = {
    _region: 0.32,
    _control: 0.28,
    _frames: 0.2,
    _outside: 0.1,
    _control_in_region: 0.05,
    _nothing: 0.05,
}
_KINDS_WITH_REFERENCE: dict[Give, float] = {_nothing: 0.6, _region: 0.2, _frames: 0.1, _control: 0.1}


def _any_box(rng: random.Random, least: int, most: int) -> PixelBox:
    width, height = rng.randint(least, most), rng.randint(least, most)
    left, top = rng.randint(0, SIZE - width), rng.randint(0, SIZE - height)
    return PixelBox(left, top, left + width, top + height)


def _rounded(box: PixelBox) -> np.ndarray:
    """(1, H, W): the ellipse that fills a box is made anew."""
    grid = np.arange(SIZE) + 0.5
    across = (2 * grid - box.left - box.right) / box.width
    down = (2 * grid - box.top - box.bottom) / box.height
    return (across[None, None] ** 2 + down[None, :, None] ** 2 <= 1).astype(np.float32)


def _portrait(thing: Thing, rng: random.Random) -> Tensor:
    """(3, H, W): the thing in the middle, of another size, over any background; some not square."""
    posed = Thing(thing.colour, thing.shape, "grow", rng.uniform(11, 14), 0.5, 0.0)
    scene = Scene((posed,), rng.choice(list(BACKGROUNDS)))
    picture = draw(scene, 1, rng.randint(6, 16), SIZE)[:, 0]
    if rng.random() < _LETTERBOXED:
        margin = rng.randint(4, 10)
        narrow = picture[:, :, margin:-margin] if rng.random() < 0.5 else picture[:, margin:-margin]
        return letterbox(narrow[None], SIZE, SIZE)[0]
    return picture
