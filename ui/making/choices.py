"""The few choices that stand for many numbers: resolution and aspect for a size, quality for steps."""

from __future__ import annotations

from math import log

from wan_core.acceleration.levels import FEW_STEPS
from wan_core.catalog import ModelSpec

ASPECTS: dict[str, float] = {"16:9": 16 / 9, "4:3": 4 / 3, "1:1": 1.0, "3:4": 3 / 4, "9:16": 9 / 16}
QUALITIES: dict[str, float] = {"draft": 0.4, "balanced": 0.6, "best": 1.0}
"""Part of the model's official number of steps; of 50 these are 20, 30 and 50."""

DRAFTS = "drafts"
"""A quality, too: several drafts at once, of which one is picked and rendered again."""

DRAFTS_AT_ONCE = 4
"""How many, unless another number of videos is asked for."""

_TIERS = ((700_000, "720p"), (300_000, "480p"))

Size = tuple[int, int]


def tier_of(size: Size) -> str:
    """The resolution class of a (width, height), by area; tiny pictures are named by their size."""
    width, height = size
    return next((name for area, name in _TIERS if width * height >= area), f"{width}×{height}")


def aspect_of(size: Size) -> str:
    """The named aspect ratio nearest to a (width, height)."""
    ratio = log(size[0] / size[1])
    return min(ASPECTS, key=lambda name: abs(log(ASPECTS[name]) - ratio))


def sizes_by_choice(spec: ModelSpec) -> dict[str, dict[str, Size]]:
    """Resolution -> aspect ratio -> (width, height), only what the model was trained for."""
    table: dict[str, dict[str, Size]] = {}
    for size in spec.sizes:
        table.setdefault(tier_of(size), {})[aspect_of(size)] = size
    return {tier: {name: sizes[name] for name in ASPECTS if name in sizes} for tier, sizes in table.items()}


def size_for(spec: ModelSpec, tier: str | None, aspect: str | None) -> Size:
    """The (width, height) behind a choice; what the model lacks becomes its nearest or default."""
    table = sizes_by_choice(spec)
    default = (spec.defaults.width, spec.defaults.height)
    sizes = table.get(tier or "") or table[tier_of(default)]
    return sizes.get(aspect or "") or sizes.get(aspect_of(default)) or next(iter(sizes.values()))


def steps_for(spec: ModelSpec) -> dict[str, int]:
    """Quality -> number of steps of this model; weights made for few steps have one, as each step counts."""
    steps = spec.defaults.num_inference_steps
    if steps <= FEW_STEPS:
        return {"best": steps}
    return {name: round(steps * part) for name, part in QUALITIES.items()}


def steps_of(spec: ModelSpec, quality: str) -> int:
    """The number of steps of a quality, of drafts those of a draft."""
    offered = steps_for(spec)
    return offered.get("draft" if quality == DRAFTS else quality, offered["best"])


def quality_of(spec: ModelSpec, steps: int | None) -> str | None:
    """The quality whose number of steps this is, or None."""
    return next((name for name, count in steps_for(spec).items() if count == steps), None)


def shift_for(spec: ModelSpec, tier: str | None, shift: float | None) -> float | None:
    """The shift to show once a resolution is chosen: its default, unless ``shift`` is nobody's default."""
    defaults = {spec.shift_at(*size) for size in spec.sizes}
    return spec.shift_at(*size_for(spec, tier, None)) if shift in defaults else shift
