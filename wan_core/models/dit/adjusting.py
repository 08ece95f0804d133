"""What a pass may do differently from a plain one: layers left out, other attention, other positions."""

# B batch, L tokens, S text rows, D width, T latent frames

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from wan_core.ops.patchify import Triple


@dataclass(frozen=True)
class Nag:
    """Normalised attention guidance: what the tokens gather from a prompt is led away from what they gather
    from another (arXiv 2505.21179).

    Attributes:
        prompt_embeds: (1, rows, text_dim) of the prompt to be led away from; the same in a whole run.
        scale: how far; at 1 not at all.
        limit: how much longer, in the sum of magnitudes, a token may become.
        share: how much of the result is mixed in.
    """

    prompt_embeds: Tensor = field(compare=False)
    scale: float
    limit: float
    share: float


@dataclass(frozen=True)
class Adjustments:
    """Of a pass.

    Attributes:
        skipped: numbers of the blocks that are left out; VACE hints join all the same.
        nag: None for none.
        enhance: weight of Enhance-A-Video; 0 for none.
        riflex: number of the wave over time, from 1, that is slowed so that it does not repeat; 0 for none.
    """

    skipped: frozenset[int] = frozenset()
    nag: Nag | None = None
    enhance: float = 0.0
    riflex: int = 0


PLAIN = Adjustments()
"""A pass as the model was made for."""


@dataclass(frozen=True)
class Opposed:
    """``Nag`` with its prompt as a model's blocks read it.

    Attributes:
        text: (1, S, D) in compute dtype.
        text_bias: (S,) or None; see ``attention``.
    """

    nag: Nag
    text: Tensor
    text_bias: Tensor | None

    def lead(self, positive: Tensor, negative: Tensor) -> Tensor:
        """(B, L, D), gathered from the prompt and from the other, in compute dtype -> the same.

        Both are written over, as a copy more would be the most that a block holds.
        """
        led = negative.lerp_(positive, self.nag.scale)
        before, after = (
            torch.linalg.vector_norm(x, 1, -1, True, dtype=torch.float32) for x in (positive, led)
        )
        longest = self.nag.limit * before
        led.mul_(torch.where(after > longest, longest / (after + 1e-7), 1.0))
        return positive.lerp_(led, self.nag.share)


def enhancement(query: Tensor, key: Tensor, grid: Triple, front: int, weight: float) -> Tensor:
    """What Enhance-A-Video multiplies the outcome of a self-attention by, (B, 1, 1), float32, at least 1.

    At each place of the picture the frames attend to each other; with m, the mean of what a frame gives to
    each other one, it is m (T + weight). Tokens are in (time, height, width) order.

    Args:
        query, key: (B, L, heads, head_dim), as attention gets them.
        grid: tokens of the clip along (time, height, width).
        front: tokens before those of the clip; what stands before and after is left aside.
        weight: of the method.
    """
    frames, places = grid[0], grid[1] * grid[2]
    query, key = (x.narrow(1, front, frames * places).unflatten(1, (frames, places)) for x in (query, key))
    kept = query.new_zeros(query.shape[0], dtype=torch.float32)
    heads = query.shape[3]
    for head in range(heads):  # one at a time, as all would take the memory of the tokens again
        rows, columns = (x[:, :, :, head].transpose(1, 2) for x in (query, key))  # (B, places, T, head_dim)
        scores = torch.matmul(rows, columns.transpose(-1, -2)).float() / rows.shape[-1] ** 0.5
        kept = kept + scores.softmax(-1).diagonal(dim1=-2, dim2=-1).mean((-2, -1))
    given_each = (1 - kept / heads) / (frames - 1)
    return (given_each * (frames + weight)).clamp(min=1.0)[:, None, None]
