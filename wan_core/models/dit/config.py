"""Shape of a Wan DiT. Imports no torch, so that the catalog can hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["t2v", "i2v", "flf2v", "vace"]

# Peak of one call in bfloat16, for each token and unit of width: 43 with the 1.3B model (2.0 GiB for the
# 32 760 tokens of 832x480x81) and 40 with the 14B (6.1 GiB).
_BYTES_PER_TOKEN_AND_WIDTH = 43


@dataclass(frozen=True)
class DiTConfig:
    """Sizes of a Wan DiT (spec 1, table); the defaults are those of text to video.

    Attributes:
        in_dim: channels of the noisy latents and of what is joined to them: 16, or 36 with a picture.
        patch_size: latent cells per token along (time, height, width).
        image_dim: width of the image embeds (1280); 0 for a model that attends to no picture.
        image_positions: rows of learned positions added to the image embeds: 514 where two pictures
            are told apart, 0 otherwise.
        vace_in_dim: channels of the VACE context (96); 0 for a model without.
        vace_layers: the blocks, in order, that a hint is added after; one VACE block makes each.
    """

    dim: int
    ffn_dim: int
    num_heads: int
    num_layers: int
    in_dim: int = 16
    out_dim: int = 16
    text_dim: int = 4096
    text_len: int = 512
    freq_dim: int = 256
    patch_size: tuple[int, int, int] = (1, 2, 2)
    eps: float = 1e-6
    image_dim: int = 0
    image_positions: int = 0
    vace_in_dim: int = 0
    vace_layers: tuple[int, ...] = ()

    @property
    def head_dim(self) -> int:
        return self.dim // self.num_heads

    def working_bytes(self, frames: int, height: int, width: int) -> int:
        """Device memory that one call takes beside the weights, for a latent grid of this size."""
        time, rows, columns = self.patch_size
        tokens = (frames // time) * (height // rows) * (width // columns)
        return _BYTES_PER_TOKEN_AND_WIDTH * tokens * self.dim

    @property
    def kind(self) -> Kind:
        """What the model was made for."""
        if self.vace_layers:
            return "vace"
        if self.image_positions:
            return "flf2v"
        return "i2v" if self.image_dim else "t2v"
