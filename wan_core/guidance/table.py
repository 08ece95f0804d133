"""The methods of guidance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wan_core.guidance.attention import EnhanceVideo, NagAttention, Riflex
from wan_core.guidance.cfg_zero import CFGZero
from wan_core.guidance.fresca import FreSca
from wan_core.guidance.method import Method
from wan_core.guidance.skip_layers import SkipLayers
from wan_core.schema.guidance import GuidanceOptions


@dataclass(frozen=True)
class Row:
    """A method, and whether options ask for it."""

    method: Method
    is_asked: Callable[[GuidanceOptions], bool]


METHODS: dict[str, Row] = {
    "cfg-zero": Row(CFGZero(), lambda options: options.cfg_zero),
    "skip-layers": Row(SkipLayers(), lambda options: bool(options.skip_blocks)),
    "nag": Row(NagAttention(), lambda options: options.reads_negative),
    "enhance-a-video": Row(EnhanceVideo(), lambda options: options.enhance_video > 0),
    "fresca": Row(FreSca(), lambda options: (options.fresca_low, options.fresca_high) != (1, 1)),
    "riflex": Row(Riflex(), lambda options: options.riflex > 0),
}
"""In the order in which they take part."""


def methods_of(options: GuidanceOptions) -> tuple[Method, ...]:
    """The methods that options ask for."""
    return tuple(row.method for row in METHODS.values() if row.is_asked(options))
