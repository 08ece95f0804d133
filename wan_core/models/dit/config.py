"""Shape of a Wan DiT. Imports no torch, so that the catalog can hold it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Kind = Literal["t2v", "i2v", "flf2v", "vace", "control", "camera", "recam"]

PIXELS_PER_CELL = 8
"""Pixels along a side of a latent cell, which the camera adapter folds into channels."""

FED_AT_ONCE = 8192
"""Tokens that go through the feed-forward at a time: enough to fill a card, and a bound to its memory."""

_OTHER_BYTES = 2  # joined inputs, rotary angles, text: for each token and unit of width
_CAMERA_BYTES = 4  # of each number of the camera's rays, float32


@dataclass(frozen=True)
class DiTConfig:
    """Sizes of a Wan DiT (spec 1, table); the defaults are those of text to video.

    Attributes:
        in_dim: channels of the noisy latents and of what is joined to them: 16; 36 with a mask and a
            picture; 48 with a control video and a picture; 32 with a picture and a camera.
        patch_size: latent cells per token along (time, height, width).
        image_dim: width of the image embeds (1280); 0 for a model that attends to no picture.
        image_positions: rows of learned positions added to the image embeds: 514 where two pictures
            are told apart, 0 otherwise.
        vace_in_dim: channels of the VACE context (96); 0 for a model without.
        vace_layers: the blocks, in order, that a hint is added after; one VACE block makes each.
        reference_dim: latent channels of a reference picture (16), whose tokens go before the clip's;
            0 for a model without.
        camera_dim: channels of the rays of a camera (24); 0 for a model without.
        camera_path_dim: numbers of a camera pose (12) that each block reads; 0 for a model without.
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
    reference_dim: int = 0
    camera_dim: int = 0
    camera_path_dim: int = 0

    @property
    def head_dim(self) -> int:
        return self.dim // self.num_heads

    @property
    def time_waves(self) -> int:
        """How many waves tell a token where it is in time; see ``ops.rope.rope_bands``."""
        return self.head_dim // 2 - 2 * (self.head_dim // 6)

    def working_bytes(
        self, frames: int, height: int, width: int, appended: int = 0, itemsize: int = 2
    ) -> int:
        """Device memory that one call takes beside the weights, for a latent grid of this size.

        ``appended`` are the latent frames given after the clip; a model that renders a video again
        counts those of its source, as many as the clip's, by itself. ``itemsize`` is the bytes of a
        number in the computing precision. It is what ``tests/models/test_dit_memory.py`` counts, tensor by
        tensor, and up to 9 % more.
        """
        cells = math.prod(self.patch_size)
        rays = self.camera_dim * cells * PIXELS_PER_CELL**2 * _CAMERA_BYTES
        tokens = self.tokens(frames, height, width, appended)
        return int(tokens * (self._bytes_per_token_and_width(itemsize, tokens) * self.dim + rays))

    def tokens(self, frames: int, height: int, width: int, appended: int = 0) -> int:
        """How many tokens the blocks see of a latent grid of this size; see ``working_bytes``."""
        time, rows, columns = self.patch_size
        before = 1 if self.reference_dim else 0
        after = max(appended, frames if self.camera_path_dim else 0)
        return ((before * time + frames + after) // time) * (height // rows) * (width // columns)

    def _bytes_per_token_and_width(self, itemsize: int, tokens: int) -> float:
        """At the widest place of a block; all the while the model's and the block's inputs are held."""
        held = 2 * 4
        placed = itemsize if self.camera_path_dim else 0
        normed = itemsize + 2 * 4  # queries or keys: as projected, in float32, and what their norm makes
        attending = held + placed + itemsize + max(itemsize + normed, 4 * itemsize)
        looking = held + 4 + itemsize + max(normed, itemsize * (4 if self.image_dim else 3))
        fed = 4 + itemsize * (2 + 2 * self.ffn_dim / self.dim)  # read, the hidden layer twice, the result
        feeding = held + 2 * 4 + fed * min(tokens, FED_AT_ONCE) / tokens
        steering = 4 + itemsize if self.vace_layers else 0  # its own stream and its context
        return max(attending, looking, feeding) + steering + _OTHER_BYTES

    @property
    def kind(self) -> Kind:
        """What the model was made for."""
        if self.vace_layers:
            return "vace"
        if self.camera_path_dim:
            return "recam"
        if self.camera_dim:
            return "camera"
        if self.image_positions:
            return "flf2v"
        if self.reference_dim or self.in_dim == 3 * self.out_dim:  # the clip, its control and a picture
            return "control"
        return "i2v" if self.image_dim else "t2v"


@dataclass(frozen=True)
class MotionConfig:
    """Sizes of a motion controller.

    Attributes:
        dim: width of the DiT that it steers.
        freq_dim: width of the sinusoid of the motion bucket.
    """

    dim: int = 1536
    freq_dim: int = 256
