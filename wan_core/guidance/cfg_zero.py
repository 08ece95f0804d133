"""CFG-Zero*: the negative velocity at the length that fits the prompt's best (arXiv 2503.18886)."""

from __future__ import annotations

from torch import Tensor

from wan_core.guidance.method import Method, Moment

_TINY = 1e-8


class CFGZero(Method):
    """The null velocity u becomes a u, with a = <c, u> / |u|^2 for each sample."""

    def fit(self, moment: Moment, conditional: Tensor, null: Tensor) -> Tensor:
        if not moment.options.cfg_zero:
            return null
        along = (conditional * null).flatten(1).sum(1)
        part = along / (null.flatten(1).square().sum(1) + _TINY)
        return null * part.view(-1, *[1] * (null.ndim - 1))
