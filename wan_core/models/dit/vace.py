"""The side branch of VACE, which steers the main blocks (spec 2). Attribute names are the official keys."""

# B batch, L tokens, D width

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from wan_core.models.dit.blocks import Block, DiTContext
from wan_core.models.dit.config import DiTConfig


class VaceBlock(Block):
    """A transformer block on the tokens of the VACE context, with what links it to the main ones.

    Args:
        config: sizes of the model.
        first: whether it is the one that the tokens of the latents enter through.
    """

    def __init__(self, config: DiTConfig, first: bool) -> None:
        super().__init__(config)
        if first:
            self.before_proj = nn.Linear(config.dim, config.dim)
        self.after_proj = nn.Linear(config.dim, config.dim)


def vace_hints(blocks: Sequence[VaceBlock], tokens: Tensor, context: DiTContext) -> Iterator[Tensor]:
    """The hint of each block, (B, L, D) in compute dtype, computed when it is asked for.

    A hint depends on the embedded latents and on the hints before it, never on a main block; asking
    as late as possible gives the same hints and holds one at a time.

    Args:
        blocks: the VACE blocks, in order.
        tokens: (B, L, D), float32, the latents as ``WanDiT.embed`` made them.
        context: with ``vace``.
    """
    stream = blocks[0].before_proj(context.vace).float() + tokens
    for block in blocks:
        stream = block(stream, context)
        yield block.after_proj(stream.to(context.text.dtype))
