"""What is done when memory runs out: the same work again with less, rung by rung, and nothing made is lost.

A rung is tried only after the failed attempt has let go of its tensors: an exception holds the frames that it
passed, and they hold everything that was on the device.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from wan_core.catalog import Role
from wan_core.models.vae.config import halved_tiles
from wan_core.ops.out_of_memory import is_out_of_memory
from wan_core.pipelines.components import VaeWay
from wan_core.schema import OutOfMemory, Stage
from wan_core.schema.plan import MemoryPlan
from wan_core.schema.settings import Profile

_log = logging.getLogger(__name__)

T = TypeVar("T")

Rung = Callable[[], bool]
"""Changes something for the next attempt; returns whether it did, so that one that cannot help costs none."""

_LOWER: dict[Profile, Profile] = {
    "full": "model",
    "model": "blocks",
    "blocks": "sequential",
}
"""The profile that takes the next less memory."""

_DOING = {
    Stage.LOAD: "loading the model",
    Stage.ENCODE: "reading the prompt and the media",
    Stage.DENOISE: "denoising",
}


def rescued(work: Callable[[], T], rungs: Iterable[Rung], failure: Callable[[str], OutOfMemory]) -> T:
    """``work()``; when memory runs out, again after each rung that changes something.

    Raises:
        OutOfMemory: when no rung is left, what ``failure`` makes of the last sentence that was told, if any;
            without a cause, which would pin tensors.
    """
    left = iter(rungs)
    while True:
        try:
            return work()
        except (RuntimeError, MemoryError, OutOfMemory) as error:
            if not is_out_of_memory(error):
                raise
            told = str(error) if isinstance(error, OutOfMemory) else ""
            _log.warning("Out of memory: %s", str(error).partition("\n")[0])
            _let_go(error)
        if not any(rung() for rung in left):  # the first that changes something
            raise failure(told)


def cheaper_ways(way: VaeWay, longer_side: int, tile: int, has_device: bool) -> Iterator[VaeWay]:
    """Ways to run the VAE that take less than ``way``, each less than the one before; the last is the CPU's.

    Args:
        way: what is too much.
        longer_side: of the picture, in pixels; tiles that hold it are none.
        tile: the largest tile to take, in pixels.
        has_device: whether there is a device that the CPU can relieve.
    """
    sides = halved_tiles(tile)
    smaller = [side for side in sides if side < min(way.tile or longer_side, longer_side)]
    if not way.on_cpu:
        yield from (replace(way, tile=side) for side in smaller)
    if has_device or way.on_cpu:
        frugal = [side for side in sides if side < longer_side][:1]
        last = VaeWay(frugal[0] if frugal else None, on_cpu=True)
        if last != way:
            yield last


def level_of(plan: MemoryPlan) -> Profile:
    """The profile that a plan amounts to, whether it was asked for or chosen."""
    others = {role: place for role, place in plan.placements.items() if role != Role.TRANSFORMER}
    if plan.placements[Role.TRANSFORMER] == "streamed":
        return "sequential" if plan.in_pieces else "blocks"
    return "full" if "resident" in others.values() else "model"


def lower_level(profile: Profile) -> Profile | None:
    """The profile that takes the next less memory; None where there is none."""
    return _LOWER.get(profile)


def too_much(stage: Stage | None, clip: str, device: str, lower: Profile | None) -> OutOfMemory:
    """What to tell when making the latents does not fit.

    Args:
        stage: where memory ran out.
        clip: what is made, such as "81 frames of 832x480".
        device: the kind of the device.
        lower: the profile to offer.
    """
    holder = "The machine" if device == "cpu" else f"The device ({device})"
    remedy = "try again with less memory, or choose" if lower else "choose"
    return OutOfMemory(
        f"{holder} ran out of memory while {_DOING.get(stage, 'starting')} for {clip}; {remedy} "
        "a smaller size, fewer frames or a smaller precision, or close other programs that use it.",
        lower,
    )


def no_room() -> OutOfMemory:
    """What to tell when there is no memory even for what is small."""
    return OutOfMemory(
        "The machine ran out of memory with no model loaded; close other programs or give smaller files."
    )


def undecodable() -> OutOfMemory:
    """What to tell when not even the gentlest way of decoding fits."""
    return OutOfMemory(
        "Memory ran out while decoding, in the smallest tiles too; the finished latents are kept, so close "
        "other programs and decode again."
    )


def rescue_note(way: VaeWay) -> str:
    """What to tell of a video that could only be decoded in another way than planned."""
    tiles = f"in tiles of {way.tile} pixels" if way.tile else ""
    how = " ".join(words for words in (tiles, "on the CPU" if way.on_cpu else "") if words)
    return f"Memory ran out while decoding, so it was done {how}; the picture is the same."


def _let_go(error: BaseException | None) -> None:
    """Empty the frames that an error and those before it passed: their locals hold tensors."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
