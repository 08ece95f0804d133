"""First-block cache: what the first block adds foretells what the others would add."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from wan_core.acceleration.step_cache import Pass, ReusingCache, Window, mean_change
from wan_core.models.dit.blocks import DiTContext


@dataclass(frozen=True)
class _Begun:
    """A call after its first block: the tokens, what it added to the leading ones, the VACE hints to come."""

    tokens: Tensor
    added: Tensor
    context: DiTContext
    hints: Iterator[Tensor]


class FirstBlockCache(ReusingCache):
    """Keeps what all blocks but the first add to the tokens.

    A step is skipped if mean |d - d0| / mean |d0| is below the threshold, where d is what the first block
    adds, and d0 what it added in the last computed step.
    """

    def __init__(self, threshold: float, sigmas: Sequence[float]) -> None:
        super().__init__(threshold, sigmas, 1, 1)

    def _prepare(self, transformer: nn.Module, call: Pass) -> _Begun:
        tokens, context = transformer.embed(*call.inputs())
        hints = transformer.hints(tokens, context)
        first = transformer.run_blocks(tokens, context, slice(1), hints)
        return _Begun(first, call.leading(first) - call.leading(tokens), context, hints)

    def _drifts(self, window: Window, ready: _Begun, call: Pass, forced: bool) -> bool:
        drifted = forced or not mean_change(ready.added, window.measured["added"]) < self.threshold
        if drifted:
            window.measured["added"] = ready.added
        return drifted

    def _compute(self, transformer: nn.Module, ready: _Begun, call: Pass) -> tuple[Tensor, Tensor]:
        tokens = transformer.run_blocks(ready.tokens, ready.context, slice(1, None), ready.hints)
        kept = (tokens - ready.tokens).to(ready.context.text.dtype)
        return transformer.unembed(tokens, ready.context), kept

    def _reuse(self, transformer: nn.Module, ready: _Begun, call: Pass, kept: Tensor) -> Tensor:
        return transformer.unembed(ready.tokens + kept, ready.context)
