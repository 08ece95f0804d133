"""Skip-layer guidance: away from what the model says with some of its layers left out."""

from __future__ import annotations

from typing import Any

from wan_core.acceleration.step_cache import Branch
from wan_core.guidance.method import Method, Moment
from wan_core.schema.guidance import within


class SkipLayers(Method):
    """In the negative pass, which then stands for less than it could, or in a weak pass of its own."""

    def adjust(self, moment: Moment, branch: Branch) -> dict[str, Any]:
        options = moment.options
        weakened: Branch = "weak" if options.skip_mode == "third" else "null"
        if branch != weakened or not within(
            (options.skip_start, options.skip_end), moment.step, moment.total
        ):
            return {}
        return {"skipped": frozenset(options.skip_blocks)}
