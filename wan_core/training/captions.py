"""Sentences for the demo world's scenes, in English and Chinese, worded in many ways."""

from __future__ import annotations

import random

from wan_core.training.world import Scene, Thing

_EN_MOTION = {
    "left": ("moving left", "moving to the left", "sliding left", "drifting to the left", "that moves left"),
    "right": (
        "moving right",
        "moving to the right",
        "sliding right",
        "drifting to the right",
        "that moves right",
    ),
    "up": ("moving up", "rising", "going up", "moving upwards", "that rises"),
    "down": ("moving down", "falling", "going down", "moving downwards", "that falls"),
    "grow": ("growing", "growing larger", "getting bigger", "that grows", "becoming larger"),
    "bounce": ("bouncing", "bouncing up and down", "hopping", "that bounces", "jumping"),
}
_EN_PLACE = {
    "night": ("at night", "in the night sky", "in the dark night", "against a dark night"),
    "grey": ("on a grey background", "on grey", "in front of a grey wall", "against a grey background"),
    "sky": ("in the blue sky", "in a bright sky", "in the sky", "against the pale blue sky"),
    "earth": ("on brown earth", "on a brown background", "on the brown ground", "against brown earth"),
}
_EN_OPENING = ("", "", "", "a video of ", "an animation of ", "there is ")

_ZH_COLOUR = {
    "red": "红色",
    "yellow": "黄色",
    "green": "绿色",
    "blue": "蓝色",
    "purple": "紫色",
    "white": "白色",
}
_ZH_SHAPE = {
    "circle": ("圆形", "圆"),
    "square": ("方形", "正方形"),
    "triangle": ("三角形",),
    "star": ("星星", "五角星"),
}
_ZH_MOTION = {
    "left": ("向左移动", "往左移动"),
    "right": ("向右移动", "往右移动"),
    "up": ("向上移动", "上升"),
    "down": ("向下移动", "下落"),
    "grow": ("变大", "逐渐变大"),
    "bounce": ("弹跳", "上下弹跳"),
}
_ZH_PLACE = {
    "night": ("夜空中", "黑夜里"),
    "grey": ("灰色背景上", "灰色墙前"),
    "sky": ("蓝天中", "天空中"),
    "earth": ("棕色大地上", "棕色背景上"),
}


def caption(scene: Scene, rng: random.Random, chinese: float = 0.3) -> str:
    """One sentence that describes ``scene``; in Chinese with probability ``chinese``."""
    return _chinese(scene, rng) if rng.random() < chinese else _english(scene, rng)


def motion_caption(scene: Scene, rng: random.Random, chinese: float = 0.3) -> str:
    """What happens where, but not to what: for a scene whose one thing is told by a picture."""
    (thing,) = scene.things
    if rng.random() < chinese:
        return f"在{rng.choice(_ZH_PLACE[scene.background])}{rng.choice(_ZH_MOTION[thing.motion])}"
    return f"{rng.choice(_EN_MOTION[thing.motion])} {rng.choice(_EN_PLACE[scene.background])}"


def _english(scene: Scene, rng: random.Random) -> str:
    phrases = [f"a {t.colour} {t.shape} {rng.choice(_EN_MOTION[t.motion])}" for t in scene.things]
    if len(scene.things) == 1 and rng.random() < 0.15:
        phrases = [_shape_first(scene.things[0], rng)]
    subject = " and ".join(phrases)
    place = rng.choice(_EN_PLACE[scene.background])
    text = f"{place}, {subject}" if rng.random() < 0.2 else f"{rng.choice(_EN_OPENING)}{subject} {place}"
    text = text[0].upper() + text[1:] if rng.random() < 0.4 else text
    return text + "." if rng.random() < 0.3 else text


def _shape_first(thing: Thing, rng: random.Random) -> str:
    return f"a {thing.shape}, {thing.colour}, {rng.choice(_EN_MOTION[thing.motion])}"


def _chinese(scene: Scene, rng: random.Random) -> str:
    subject = "和".join(
        f"一个{_ZH_COLOUR[t.colour]}的{rng.choice(_ZH_SHAPE[t.shape])}{rng.choice(_ZH_MOTION[t.motion])}"
        for t in scene.things
    )
    place = rng.choice(_ZH_PLACE[scene.background])
    text = f"{subject}，在{place}" if rng.random() < 0.3 else f"在{place}，{subject}"
    if len(scene.things) == 1 and rng.random() < 0.5:
        t = scene.things[0]
        shape, motion = rng.choice(_ZH_SHAPE[t.shape]), rng.choice(_ZH_MOTION[t.motion])
        text = f"一个{_ZH_COLOUR[t.colour]}的{shape}在{place}{motion}"
    return text + "。" if rng.random() < 0.3 else text
