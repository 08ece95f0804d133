"""The sentence that says why a plan is as it is. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wan_core.manager.plan_work import Clip
from wan_core.schema.plan import GIB, MemoryPlan
from wan_core.schema.schemes import SCHEMES

_CALLED = {"vram": "of the device's memory", "ram": "of RAM", "disk": "on the disk"}


@dataclass(frozen=True)
class Sizes:
    """What the sentence tells, in bytes: the transformer whole, its work, and what may be used."""

    transformer: int
    work: int
    usable: int


def say(
    plan: MemoryPlan, title: str, clip: Clip, sizes: Sizes, lacking: Mapping[str, tuple[int, int]]
) -> str:
    """One sentence; ``lacking`` says of what there is too little: (needed, there), in bytes."""
    if lacking:
        name, (needed, there) = next(iter(lacking.items()))
        return (
            f"{title} with {clip.num_frames} frames of {clip.width}x{clip.height} needs "
            f"{needed / GIB:.1f} GiB {_CALLED[name]}, and {there / GIB:.1f} GiB can be used; "
            f"{_remedy(plan, name, clip)}."
        )
    why = "; ".join((_why(plan, sizes), *_further(plan)))
    return f"{title} with {clip.num_frames} frames of {clip.width}x{clip.height}: {why}."


def _why(plan: MemoryPlan, sizes: Sizes) -> str:
    usable = _gib(sizes.usable)
    placement = plan.placements["transformer"]
    if placement == "cpu":
        return "there is no GPU, so everything runs on the CPU"
    if set(plan.placements.values()) == {"resident"}:
        return f"everything fits into {usable}, so nothing moves"
    too_much = f"the transformer ({_gib(sizes.transformer)}) and its work ({_gib(sizes.work)})"
    if placement == "streamed":
        if plan.in_pieces:
            return (
                f"of {too_much} only pieces of blocks are on the device at a time, so that {usable} suffice"
            )
        return (
            f"{too_much} do not fit into {usable} together, so {plan.streamed_blocks} of {plan.blocks} "
            "blocks come and go while others compute"
        )
    if placement == "resident":
        return f"the transformer stays in {usable}, the other parts take turns beside it"
    return f"the parts take turns, as {too_much} leave too little of {usable} for the others"


def _further(plan: MemoryPlan) -> list[str]:
    told = []
    if plan.placements["text_encoder"] == "cpu" != plan.placements["transformer"]:
        told.append("the text encoder runs on the CPU")
    if plan.vae_tile:
        told.append(f"the VAE works in tiles of {plan.vae_tile} pixels")
    elif plan.vae_device == "cpu" != plan.placements["transformer"]:
        told.append("the VAE runs on the CPU, which is slow")
    if plan.from_disk:
        told.append("the weights are read from the disk, as a copy does not fit into RAM")
    return told


def _remedy(plan: MemoryPlan, name: str, clip: Clip) -> str:
    if name == "disk":
        return "free some"
    less = "fewer frames" if clip.windows is None else "shorter windows"
    smaller = "choose a smaller model" if name == "ram" else f"choose a smaller size or {less}"
    return f"{smaller}, or precision fp8_scaled" if SCHEMES[plan.precision["transformer"]].plain else smaller


def _gib(count: int) -> str:
    return f"{count / GIB:.1f} GiB"
