"""Shape of a umT5 encoder. Imports no torch, so that the catalog can hold it."""

from __future__ import annotations

from dataclasses import dataclass

TEXT_LEN = 512


@dataclass(frozen=True)
class UMT5Config:
    """Sizes of a umT5 encoder (spec 4)."""

    vocab_size: int = 256384
    dim: int = 4096
    dim_attn: int = 4096
    dim_ffn: int = 10240
    num_heads: int = 64
    num_layers: int = 24
    num_buckets: int = 32
