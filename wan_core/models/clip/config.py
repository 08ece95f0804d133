"""Shape of the CLIP image encoder. Imports no torch, so that the catalog can hold it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CLIPConfig:
    """Sizes of a CLIP image encoder (spec 5).

    Attributes:
        num_layers: the blocks that run, one fewer than a file holds.
        image_size: height and width of what the encoder sees, in pixels.
        patch_size: height and width of a token, in pixels.
    """

    dim: int = 1280
    dim_mlp: int = 5120
    num_heads: int = 16
    num_layers: int = 31
    image_size: int = 224
    patch_size: int = 14
    eps: float = 1e-5

    @property
    def num_tokens(self) -> int:
        """Rows of the result: the class token, then the patches."""
        return (self.image_size // self.patch_size) ** 2 + 1
