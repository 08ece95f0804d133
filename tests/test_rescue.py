"""The ladder: which rungs there are, in which order, and that an attempt lets go of what it held."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from wan_core.pipelines.components import VaeWay
from wan_core.rescue import cheaper_ways, level_of, lower_level, rescue_note, rescued, too_much
from wan_core.schema import OutOfMemory, Stage
from wan_core.schema.plan import MemoryPlan


def give_up(told: str) -> OutOfMemory:
    return OutOfMemory(told or "no rung is left")


@pytest.mark.parametrize(
    ("way", "longer_side", "has_device", "expected"),
    [
        (VaeWay(), 832, True, [(256, False), (128, False), (64, False), (256, True)]),
        (VaeWay(), 832, False, [(256, False), (128, False), (64, False)]),
        (VaeWay(256), 832, True, [(128, False), (64, False), (256, True)]),
        (VaeWay(64), 832, True, [(256, True)]),
        (VaeWay(), 200, True, [(128, False), (64, False), (128, True)]),
        (VaeWay(), 64, True, [(None, True)]),
        (VaeWay(), 64, False, []),
        (VaeWay(256, True), 832, True, []),
        (VaeWay(None, True), 832, True, [(256, True)]),
    ],
)
def test_the_ways_to_decode_get_cheaper_and_end_on_the_cpu(
    way: VaeWay, longer_side: int, has_device: bool, expected: list[tuple[int | None, bool]]
) -> None:
    ways = cheaper_ways(way, longer_side, 256, has_device)
    assert [(w.tile, w.on_cpu) for w in ways] == expected


def test_profiles_go_down_one_level_at_a_time() -> None:
    levels = ["full"]
    while lower := lower_level(levels[-1]):
        levels.append(lower)
    assert levels == ["full", "model", "blocks", "sequential"]


@pytest.mark.parametrize(
    ("transformer", "vae", "in_pieces", "level"),
    [
        ("resident", "resident", False, "full"),
        ("on_demand", "resident", False, "full"),
        ("resident", "on_demand", False, "model"),  # alone, it takes no more room than on demand
        ("on_demand", "on_demand", False, "model"),
        ("streamed", "resident", False, "blocks"),
        ("streamed", "cpu", True, "sequential"),
    ],
)
def test_the_level_is_read_from_the_plan(transformer: str, vae: str, in_pieces: bool, level: str) -> None:
    placements = {"transformer": transformer, "vae": vae}
    plan = MemoryPlan(placements=placements, precision={}, in_pieces=in_pieces)
    assert level_of(plan) == level


def test_rungs_that_change_nothing_cost_no_attempt() -> None:
    log: list[str] = []

    def rung(name: str, changes: bool):
        return lambda: log.append(name) or changes

    def work() -> str:
        log.append("work")
        if log.count("work") < 3:
            raise RuntimeError("CUDNN_STATUS_ALLOC_FAILED")
        return "done"

    rungs = [rung("a", False), rung("b", True), rung("c", False), rung("d", True), rung("e", True)]
    assert rescued(work, rungs, give_up) == "done"
    assert log == ["work", "a", "b", "work", "c", "d", "work"]


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("x"), OutOfMemory("no room")])
def test_the_last_sentence_is_told(error: Exception) -> None:
    def work() -> None:
        raise error

    with pytest.raises(OutOfMemory, match="no room" if isinstance(error, OutOfMemory) else "no rung") as told:
        rescued(work, [lambda: True], give_up)
    assert told.value.__context__ is None


def test_another_error_is_no_lack_of_memory() -> None:
    def work() -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        rescued(work, [lambda: pytest.fail("a rung was tried")], give_up)


def test_a_failed_attempt_has_let_go_before_the_next_rung() -> None:
    held: list[weakref.ref] = []

    def deep() -> None:
        tensor = torch.empty(1000)
        held.append(weakref.ref(tensor))
        try:
            raise MemoryError
        except MemoryError:
            other = torch.empty(1000)
            held.append(weakref.ref(other))
            raise torch.OutOfMemoryError("while another error was handled")  # noqa: B904

    def alive() -> int:
        gc.collect()
        return sum(ref() is not None for ref in held)

    seen: list[int] = []
    with pytest.raises(OutOfMemory):
        rescued(deep, [lambda: seen.append(alive()) or True] * 2, give_up)
    assert seen == [0, 0]
    assert len(held) == 6


def test_sentences_say_where_what_and_what_to_do() -> None:
    error = too_much(Stage.DENOISE, "81 frames of 832x480", "cuda", "blocks")
    assert str(error) == (
        "The device (cuda) ran out of memory while denoising for 81 frames of 832x480; try again with less "
        "memory, or choose a smaller size, fewer frames or a smaller precision, or close other programs that "
        "use it."
    )
    assert error.lower == "blocks"
    assert str(too_much(None, "a clip", "cpu", None)).startswith(
        "The machine ran out of memory while starting for a clip; choose a smaller size"
    )
    assert rescue_note(VaeWay(128)).startswith(
        "Memory ran out while decoding, so it was done in tiles of 128"
    )
    assert "on the CPU;" in rescue_note(VaeWay(None, True))
