"""The attention kernels that a person can choose; no torch here. ``wan_core.ops.kernels`` runs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

AttentionName = Literal[
    "auto",
    "flash",
    "efficient",
    "cudnn",
    "math",
    "rows",
    "xformers",
    "flash_2",
    "flash_3",
    "sage",
    "sage_3",
    "radial",
    "sliding_tile",
]

ATTENTION_TITLES: dict[str, str] = {
    "auto": "Auto: the fastest here",
    "flash": "torch, flash",
    "efficient": "torch, memory efficient",
    "cudnn": "torch, cuDNN",
    "math": "torch, written out",
    "rows": "Rows of products",
    "xformers": "xFormers",
    "flash_2": "FlashAttention 2",
    "flash_3": "FlashAttention 3",
    "sage": "SageAttention, 8-bit",
    "sage_3": "SageAttention 3, 4-bit",
    "radial": "Radial, sparse",
    "sliding_tile": "Sliding tile, sparse",
}
"""Name -> what the Settings tab shows."""

_WORTH_IT = 0.97
"""What less than this of the time of torch's choice is worth another kernel."""


def fastest(seconds: Mapping[str, float]) -> AttentionName:
    """What Auto takes: "auto" is torch's own choice, and the answer where nothing is clearly faster."""
    best = min(seconds, key=seconds.__getitem__, default="auto")
    return best if best in seconds and seconds[best] < _WORTH_IT * seconds.get("auto", 0.0) else "auto"
