"""What a DiT keeps of a job's prompts and pictures: they are the same in every step."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from torch import Tensor

if TYPE_CHECKING:
    from wan_core.models.dit.model import WanDiT

T = TypeVar("T")

_SOURCES = 16
"""Tensors that something is kept of; a job has its prompts, its picture, and what each was made into."""


class Memory:
    """What readers have made of tensors, told apart by identity; see ``remembering``.

    Args:
        keeps_keys: whether cross-attention keeps its keys and values, too.
    """

    def __init__(self, keeps_keys: bool) -> None:
        self.keeps_keys = keeps_keys
        self._made: OrderedDict[int, tuple[Tensor, dict[int, object]]] = OrderedDict()

    def recall(self, source: Tensor, reader: object, make: Callable[[Tensor], T]) -> T:
        """``make(source)``, or what it gave when this reader last saw this very tensor."""
        _, made = self._made.setdefault(id(source), (source, {}))  # held, so that its id stays its own
        self._made.move_to_end(id(source))
        if id(reader) not in made:
            made[id(reader)] = make(source)
        while len(self._made) > _SOURCES:
            self._made.popitem(last=False)
        return made[id(reader)]

    def forget(self) -> None:
        """Begin anew: the weights are not what they were."""
        self._made.clear()


def recalled(memory: Memory | None, source: Tensor, reader: object, make: Callable[[Tensor], T]) -> T:
    """As ``Memory.recall``; without a memory it is made."""
    return make(source) if memory is None else memory.recall(source, reader, make)


@contextmanager
def remembering(dit: WanDiT, keeps_keys: bool) -> Iterator[Memory]:
    """Let a model read each prompt and picture once for the length of the block, which ends a job.

    The tensors must not change in place, and after a change of weights, such as a LoRA's strength, the
    memory must be told to ``forget``.

    Args:
        dit: the model; the blocks must not be compiled if they keep keys.
        keeps_keys: keys and values take 2 D numbers for each row of text and block. On a CPU, where the
            padding of a prompt is one row, these are a few MiB; on a card they would be up to 0.8 GiB, for
            a thousandth of the time.
    """
    dit.memory = Memory(keeps_keys)
    try:
        yield dit.memory
    finally:
        dit.memory = None
