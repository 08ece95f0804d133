"""What a method of guidance may do in a step; one that does nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from wan_core.acceleration.step_cache import Branch
from wan_core.schema.guidance import GuidanceOptions


@dataclass(frozen=True)
class Moment:
    """Where a run is.

    Attributes:
        options: of the request.
        step, total: the step, counted from 0, and how many there are.
        negative: (1, rows, text_dim), the negative prompt; None where it has not been read.
    """

    options: GuidanceOptions
    step: int
    total: int
    negative: Tensor | None = None


class Method:
    """No method. What guides is derived from it and answers for the moments that it is asked about."""

    def adjust(self, moment: Moment, branch: Branch) -> dict[str, Any]:
        """Fields of ``Adjustments`` that a pass takes."""
        return {}

    def fit(self, moment: Moment, conditional: Tensor, null: Tensor) -> Tensor:
        """The velocity of the negative pass, (B, C, F, H, W), as it is compared with the prompt's."""
        return null

    def shape(self, moment: Moment, difference: Tensor) -> Tensor:
        """(B, C, F, H, W): what the prompt's pass says beyond the negative one, before it is scaled up."""
        return difference
