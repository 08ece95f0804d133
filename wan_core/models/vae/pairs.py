"""Causal convolutions of two frames at once on a CPU: four products instead of six (Winograd in time).

Of the frames a, b, c, d and the taps f, g, h two frames follow, fa + gb + hc and fb + gc + hd. They are
p + q + f(a - c) and p - q + h(d - b), with p = (f + g + h)/2 (b + c) and q = (f - g + h)/2 (c - b).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from wan_core.models.vae.order import from_rows, to_rows
from wan_core.models.vae.stream import Room, fresh
from wan_core.ops.failures import FOREIGN_FAILURES

_PIXELS = 1024  # of all frames; below, sums of taps cost what they save
_DTYPES = (torch.float32, torch.bfloat16)

Margin = tuple[int, int]
"""Zero pixels around a frame: above and below, left and right."""


def computes_pairs(x: Tensor) -> bool:
    """Whether pairs are made of such frames at all.

    On graphics cards their gain was never measured, and 16 bits with a short exponent were not looked at.
    """
    return x.device.type == "cpu" and x.dtype in _DTYPES and not torch.is_grad_enabled()


def gains_by_pairs(x: Tensor, taps: tuple[int, ...]) -> bool:
    """Whether to make the frames of a convolution of x, (B, C, T, H, W), with so many taps in pairs.

    It is where they are even and products take most of the time.
    """
    return computes_pairs(x) and x.shape[2] % 2 == 0 and taps == (3, 3, 3) and x[0, 0].numel() >= _PIXELS


def pair_kernels(weight: Tensor, dtype: torch.dtype, room: Room = fresh) -> Tensor:
    """(C', C, 3, 3, 3) -> (4, C', C, 3, 3), channels last: what b + c, c - b, a - c and d - b meet.

    Sums of taps are rounded once, to ``dtype``.
    """
    before, now, after = weight.unbind(2)
    rows = (len(weight), 3, 3, weight.shape[1])
    kernels = room("kernels", (4, *rows), dtype).movedim(-1, 2)
    both = from_rows(room("sums", rows, torch.float32)).copy_(now)
    both.add_(before).add_(after).mul_(0.5)
    for place, kernel in zip(kernels, (both, both - now, before, after), strict=True):
        place.copy_(kernel)
    return kernels


def convolve_pairs(
    frames: Sequence[Tensor], kernels: Tensor, bias: Tensor, margin: Margin, room: Room = fresh
) -> Tensor:
    """``conv3d`` up to rounding.

    Args:
        frames: T + 2 of them, T even, each (B, C, H, W), channels last.
        kernels: of ``pair_kernels``, in the precision of the frames, or wider.
        bias: (C',).
        margin: as ``conv3d`` takes ``padding`` for the picture.
        room: for the result, and what is on the way to it.

    Returns:
        (B, C', T, H, W), channels last, in the precision of the frames.
    """
    both, turned, before, after = kernels
    batch, _, height, width = frames[0].shape
    bias = bias.to(kernels.dtype)
    fours = [frames[first : first + 4] for first in range(0, len(frames) - 2, 2)]
    given = room("given", (len(fours), *to_rows(frames[0]).shape), bias.dtype)
    first, second = made = room("made", (2, len(fours) * batch, height, width, len(bias)), bias.dtype)

    def met(one: int, sign: int, other: int) -> Tensor:
        """Of every four the sum or difference of two, as a batch."""
        for place, four in zip(given, fours, strict=True):
            torch.add(to_rows(four[one]).to(bias.dtype), to_rows(four[other]), alpha=sign, out=place)
        return from_rows(given.flatten(0, 1))

    q = F.conv2d(met(2, -1, 1), turned, padding=margin)
    torch.neg(to_rows(q), out=second)
    p = to_rows(F.conv2d(met(1, 1, 2), both, bias, padding=margin))
    torch.add(p, to_rows(_added(q, met(0, -1, 2), before, margin)), out=first)
    _added(from_rows(second), met(3, -1, 1), after, margin)
    second.add_(p)
    clip = made.unflatten(1, (-1, batch)).permute(2, 1, 0, 3, 4, 5)
    if not clip.is_contiguous() or clip.dtype != frames[0].dtype:
        clip = room("clip", clip.shape, frames[0].dtype).copy_(clip)
    return from_rows(clip.flatten(1, 2))


def _added(sum_: Tensor, x: Tensor, kernel: Tensor, margin: Margin) -> Tensor:
    """``sum_`` plus a convolution, in its place: where oneDNN can in one pass, which rounds once."""
    if _adds_in_place(x.dtype):
        return _add_in_place(sum_, x, kernel, margin)
    return sum_.add_(F.conv2d(x, kernel, padding=margin))


def _add_in_place(sum_: Tensor, x: Tensor, kernel: Tensor, margin: Margin) -> Tensor:
    options = (margin, (1, 1), (1, 1), 1, "add", 1.0, None, [], None)
    return torch.ops.mkldnn._convolution_pointwise_.binary(sum_, x, kernel, None, *options)


@cache
def _adds_in_place(dtype: torch.dtype) -> bool:
    """Whether this torch has the operator, and its numbers come out right in a trial."""
    shapes = (2, 6, 6, 16), (32, 3, 3, 16), (2, 6, 6, 32)
    numbers = (torch.linspace(-1, 1, math.prod(shape)).to(dtype).view(shape) for shape in shapes)
    x, kernel, sum_ = map(from_rows, numbers)
    right = F.conv2d(x.float(), kernel.float(), padding=1) + sum_.float()
    try:
        found = _add_in_place(sum_, x, kernel, (1, 1)).float()
    except FOREIGN_FAILURES:
        return False
    return torch.allclose(found, right, rtol=2 * torch.finfo(dtype).eps, atol=1e-5)
