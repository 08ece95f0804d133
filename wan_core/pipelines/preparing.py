"""A borrowed transformer as it runs fastest for the length of a job; the numbers stay the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wan_core.models.dit.memory import Memory, remembering
from wan_core.models.dit.model import WanDiT
from wan_core.ops.compiling import compiled
from wan_core.ops.packing import packed
from wan_core.pipelines.components import device_of
from wan_core.schema.compiling import CompileMode


@contextmanager
def prepared(transformer: WanDiT, compiles: CompileMode = "off") -> Iterator[Memory]:
    """Compile its blocks, or on a CPU pack their layers, and let it remember what it reads of the prompts.

    Args:
        transformer: as it is borrowed, with its LoRAs on.
        compiles: how its blocks are compiled.

    Yields:
        The memory, to be told of changes of the weights.
    """
    on_cpu = device_of(transformer).type == "cpu"
    blocks = (*transformer.blocks, *transformer.vace_blocks)
    with (
        compiled(blocks, compiles),
        packed(blocks, on_cpu and compiles == "off"),
        remembering(transformer, keeps_keys=on_cpu and compiles == "off") as memory,
    ):
        yield memory
