"""The attention kernels that a person can choose; no torch here. ``wan_core.ops.kernels`` runs them."""

from __future__ import annotations

from typing import Literal

AttentionName = Literal[
    "auto",
    "flash",
    "efficient",
    "cudnn",
    "math",
    "xformers",
    "flash_2",
    "flash_3",
    "sage",
    "radial",
    "sliding_tile",
]

ATTENTION_TITLES: dict[str, str] = {
    "auto": "Auto: torch chooses",
    "flash": "torch, flash",
    "efficient": "torch, memory efficient",
    "cudnn": "torch, cuDNN",
    "math": "torch, written out",
    "xformers": "xFormers",
    "flash_2": "FlashAttention 2",
    "flash_3": "FlashAttention 3",
    "sage": "SageAttention, 8-bit",
    "radial": "Radial, sparse",
    "sliding_tile": "Sliding tile, sparse",
}
"""Name -> what the Settings tab shows."""
