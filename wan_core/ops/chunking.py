"""Doing in pieces what is done to each token by itself: the same numbers in less memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

NEAR = 512
"""Tokens that stay in the cache of a CPU from one operation to the next, at the width of the 1.3B model.
Tensors of more are slower, too, as they take fresh memory of the system each time."""


def near(tokens: Tensor) -> int | None:
    """How many tokens a device best works on at a time: on a CPU few, elsewhere, and to learn, all (None)."""
    few = tokens.device.type == "cpu" and not torch.is_grad_enabled() and not torch.compiler.is_compiling()
    return NEAR if few else None


def by_tokens(function: Callable[..., Tensor], size: int | None, *inputs: Tensor) -> Tensor:
    """``function(*inputs)``, about ``size`` tokens at a time, in pieces of equal length up to one token.

    Args:
        function: tensors (B, n, ...) -> (B', n, ...), where no token depends on another.
        size: tokens of a piece, those of each sample of the first input counted; None takes all at once.
        inputs: (B or 1, L, ...) each.

    Returns:
        (B', L, ...).
    """
    batch, length = inputs[0].shape[:2]
    count = 1 if size is None else round(batch * length / size)
    if count < 2:
        return function(*inputs)
    made, done = None, 0
    for pieces in zip(*(tensor.tensor_split(count, dim=1) for tensor in inputs), strict=True):
        part = function(*pieces)
        if made is None:
            made = part.new_empty(part.shape[0], length, *part.shape[2:])
        made[:, done : done + part.shape[1]] = part
        done += part.shape[1]
    return made
