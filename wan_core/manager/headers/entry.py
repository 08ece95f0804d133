"""What the header of a checkpoint file says, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

MAX_HEADER_BYTES = 8 * 2**20
"""Limit of a safetensors header: 30 times what the 14B models need."""
MAX_TABLE_BYTES = 2 * 2**20
"""Limit of a .pth file's pickle: 8 times what they need."""
MAX_TENSORS = 20_000
MAX_DIMENSIONS = 8
AGAIN = "delete it and download the model again"

Format = Literal["safetensors", "pth", "gguf"]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class TensorEntry:
    """A tensor as its file describes it.

    Attributes:
        dtype: the element type: the safetensors word ("F32", "BF16", "F8_E4M3"), or a GGUF type ("Q4_K").
        shape: of the tensor that it stands for, also where the file keeps packed blocks.
        nbytes: what it takes in the file.
        offset: its first byte in the file; -1 where the header does not tell (.pth).
    """

    dtype: str
    shape: Shape
    nbytes: int
    offset: int = -1


@dataclass(frozen=True)
class Header:
    """All tensors of a file, by name, and what the file says about itself."""

    format: Format
    tensors: Mapping[str, TensorEntry]
    metadata: Mapping[str, str] = field(default_factory=dict)
