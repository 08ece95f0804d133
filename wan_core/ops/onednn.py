"""Products by oneDNN on a CPU, and which precision this processor multiplies faster."""

from __future__ import annotations

import time
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from wan_core.ops.failures import FOREIGN_FAILURES

_WORTH = 1.3
"""How many times as fast float32 has to be: what is nearly the same could be chosen anew in the next run."""

_TRIAL, _TURNS = (256, 1536), 5  # rows and columns of what is timed, and how often; the fastest counts


@cache
def gains_by_float32(dtype: torch.dtype) -> bool:
    """Whether this processor computes products of such numbers right in float32 only, or much faster.

    It rounds no more often: products of 16 bits are summed in float32 anyway.
    """
    if dtype not in (torch.bfloat16, torch.float16) or not works_with(torch.float32):
        return False
    if not works_with(dtype):
        return True
    taken = {dtype: [], torch.float32: []}
    weights = {each: reordered(torch.ones(_TRIAL[1], _TRIAL[1], dtype=each)) for each in taken}
    rows = torch.ones(_TRIAL, dtype=dtype)
    with torch.inference_mode():
        for _ in range(_TURNS):
            for each, seconds in taken.items():
                begun = time.perf_counter()
                linear(weights[each], None, False, rows)
                seconds.append(time.perf_counter() - begun)
    return min(taken[dtype]) > _WORTH * min(taken[torch.float32])


@cache
def works_with(dtype: torch.dtype) -> bool:
    """Whether this torch has the operators, and their numbers come out right in a trial."""
    rows, weight, bias = (torch.linspace(-1, 1, n).to(dtype) for n in (5 * 32, 48 * 32, 48))
    rows, weight = rows.view(1, 5, 32), weight.view(48, 32)
    try:
        with torch.inference_mode():
            found = linear(reordered(weight), bias, True, rows)
            right = F.gelu(F.linear(rows.float(), weight.float(), bias.float()), approximate="tanh")
    except FOREIGN_FAILURES:
        return False
    tolerance = 1e-5 if dtype == torch.float32 else 1e-2  # 16 bits round by 1/256 of a number
    return torch.allclose(found.float(), right, rtol=tolerance, atol=tolerance)


def reordered(weight: Tensor) -> Tensor:
    """(out, in) -> the same, laid as ``linear`` likes it."""
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous())


def linear(weight: Tensor, bias: Tensor | None, gelu: bool, x: Tensor) -> Tensor:
    """(..., in) -> (..., out), in the precision of the weight and handed on in that of x."""
    post = "gelu" if gelu else "none"
    return torch.ops.mkldnn._linear_pointwise(x.to(weight.dtype), weight, bias, post, [], "tanh").to(x.dtype)
