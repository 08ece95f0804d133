"""The ways of keeping a weight, how many bytes each takes, and what it needs of a device. No torch here.

A scheme names how the large matrices of the transformer's or text encoder's blocks are kept; norms,
modulation, embeddings and the head stay in a plain dtype. ``wan_core.quantization`` carries them out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FP8_MATMUL_CAPABILITY = (8, 9)
"""Ada and later NVIDIA cards multiply fp8 matrices."""

_BF16_CAPABILITY = (8, 0)
_FP16_ACCUMULATION_CAPABILITY = (7, 0)


@dataclass(frozen=True)
class DeviceFacts:
    """What decides which schemes a device can do.

    Attributes:
        kind: "cuda" (NVIDIA), "rocm" (AMD), "mps" (Apple) or "cpu".
        capability: compute capability of an NVIDIA card, such as (8, 9); None elsewhere.
        name: what a person calls it.
    """

    kind: str
    capability: tuple[int, int] | None = None
    name: str = "this device"

    def reaches(self, capability: tuple[int, int]) -> bool:
        """Whether it is an NVIDIA card of this compute capability or a later one."""
        return self.kind == "cuda" and self.capability is not None and self.capability >= capability


@dataclass(frozen=True)
class Scheme:
    """One way of keeping weights: blocks of ``block`` numbers in ``block_bytes`` bytes, in rows.

    Attributes:
        id: the name in settings and plans; that of a GGUF type is ``gguf_`` and its own in small letters.
        title: what the Settings tab shows.
        row_bytes: bytes that each row (output channel) takes besides, for its scale.
        plain: whether torch computes with the weights as they are.
        selectable: whether a person can choose it; the others are found in files only.
    """

    id: str
    title: str
    block: int
    block_bytes: int
    row_bytes: int = 0
    plain: bool = False
    selectable: bool = True

    @property
    def bits(self) -> float:
        """Bits per weight, scales of rows left out."""
        return 8 * self.block_bytes / self.block

    def nbytes(self, shape: Sequence[int]) -> int:
        """Bytes that a matrix of this shape, (rows, columns), takes."""
        return math.prod(shape) // self.block * self.block_bytes + shape[0] * self.row_bytes

    def unsupported(self, facts: DeviceFacts) -> str | None:
        """One sentence on why a device cannot do it; None where it can."""
        if self.id == "bf16" and facts.kind == "cuda" and not facts.reaches(_BF16_CAPABILITY):
            return f"{facts.name} has no bfloat16 arithmetic (compute capability 8.0); choose fp16."
        return None

    def remark(self, facts: DeviceFacts) -> str | None:
        """One sentence on what a device does differently from what the scheme's name promises."""
        if self.id == "fp8_scaled" and not facts.reaches(FP8_MATMUL_CAPABILITY):
            return (
                f"{facts.name} does not multiply fp8 matrices: the weights take half the memory of bf16, but "
                "are unpacked for each use."
            )
        return None


def fp16_accumulation_unsupported(facts: DeviceFacts) -> str | None:
    """One sentence on why a device cannot sum fp16 products in fp16; None where it can."""
    if facts.reaches(_FP16_ACCUMULATION_CAPABILITY):
        return None
    return f"{facts.name} always sums in float32; fp16 accumulation needs an NVIDIA card of 2018 or later."


# GGUF type -> weights per block, bytes per block
_GGUF_BLOCKS = {
    "Q8_0": (32, 34),
    "Q6_K": (256, 210),
    "Q5_K": (256, 176),
    "Q5_1": (32, 24),
    "Q5_0": (32, 22),
    "Q4_K": (256, 144),
    "Q4_1": (32, 20),
    "Q4_0": (32, 18),
    "Q3_K": (256, 110),
    "Q2_K": (256, 84),
    "IQ4_NL": (32, 18),
    "IQ4_XS": (256, 136),
}

_SELECTABLE = (
    Scheme("fp32", "fp32", 1, 4, plain=True),
    Scheme("bf16", "bf16", 1, 2, plain=True),
    Scheme("fp16", "fp16", 1, 2, plain=True),
    Scheme("fp8_e4m3", "fp8 (e4m3), unpacked for each use", 1, 1),
    Scheme("fp8_e5m2", "fp8 (e5m2), unpacked for each use", 1, 1),
    Scheme("fp8_scaled", "fp8 with scales, multiplied in fp8", 1, 1, row_bytes=4),
    Scheme("int8", "int8 with scales, unpacked for each use", 1, 1, row_bytes=4),
)

GGUF_SCHEMES: dict[str, Scheme] = {
    name: Scheme(f"gguf_{name.lower()}", f"GGUF {name}", block, size, selectable=False)
    for name, (block, size) in _GGUF_BLOCKS.items()
}
"""GGUF type, as ggml writes it -> its scheme; the types that need unpacking."""

SCHEMES: dict[str, Scheme] = {scheme.id: scheme for scheme in (*_SELECTABLE, *GGUF_SCHEMES.values())}
"""Id -> scheme, the selectable ones in the order in which Settings lists them."""
