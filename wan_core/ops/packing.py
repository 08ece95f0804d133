"""Linear layers as oneDNN likes them on a CPU: weights in its own order, and GELU in the same pass.

Where a processor multiplies float32 faster than the 16 bits of the weights, products are made in float32.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wan_core.ops.failures import FOREIGN_FAILURES

_RAM_SHARE = 1 / 3
"""Of the free RAM, what reordered copies of weights may take; the rest keep their order, which is slower."""

_WORTH = 1.3
"""How many times as fast float32 has to be: what is nearly the same could be chosen anew in the next run."""

_TRIAL, _TURNS = (256, 1536), 5  # rows and columns of what is timed, and how often; the fastest counts


@contextmanager
def packed(blocks: Iterable[nn.Module], wanted: bool = True) -> Iterator[int]:
    """Run the linear layers of these blocks with oneDNN for the length of the block; yields how many.

    Weights themselves stay as and where they are, so hooks, such as those of LoRAs, see no difference.
    """
    modules = [module for block in blocks if wanted for module in block.modules()]
    room = int(psutil.virtual_memory().available * _RAM_SHARE)
    layers = [module for module in modules if _is_plain(module)]
    widened = _widened(layers, room)
    layers = [layer for layer in layers if layer in widened or _works_with(layer.weight.dtype)]
    with_gelu = _before_gelu(modules)
    changed: list[nn.Module] = []
    try:
        for layer in layers:
            weight, bias = layer.weight.detach(), layer.bias
            if layer in widened:
                weight, bias = weight.float(), bias if bias is None else bias.detach().float()
            room -= weight.nbytes
            if room >= 0:
                weight = _reordered(weight)
            gelu = with_gelu.get(layer)
            layer.forward = partial(_linear, weight, bias, gelu is not None)
            changed.append(layer)
            if gelu is not None:
                gelu.forward = _pass_on
                changed.append(gelu)
        yield len(layers)
    finally:
        for module in changed:
            module.__dict__.pop("forward", None)


def _is_plain(module: nn.Module) -> bool:
    """A layer on a CPU whose weights do not come and go."""
    return type(module) is nn.Linear and not module._forward_pre_hooks and module.weight.device.type == "cpu"


def _widened(layers: Iterable[nn.Linear], room: int) -> set[nn.Linear]:
    """Those whose products are made in float32: all that gain by it, or none where memory is short."""
    gaining = {layer for layer in layers if _gains_by_float32(layer.weight.dtype)}
    return gaining if sum(layer.weight.numel() for layer in gaining) * 4 <= room else set()


@cache
def _gains_by_float32(dtype: torch.dtype) -> bool:
    """Whether this processor computes such layers right in float32 only, or much faster.

    It rounds no more often: products of 16 bits are summed in float32 anyway.
    """
    if dtype not in (torch.bfloat16, torch.float16) or not _works_with(torch.float32):
        return False
    if not _works_with(dtype):
        return True
    taken = {dtype: [], torch.float32: []}
    weights = {each: _reordered(torch.ones(_TRIAL[1], _TRIAL[1], dtype=each)) for each in taken}
    rows = torch.ones(_TRIAL, dtype=dtype)
    with torch.inference_mode():
        for _ in range(_TURNS):
            for each, seconds in taken.items():
                begun = time.perf_counter()
                _linear(weights[each], None, False, rows)
                seconds.append(time.perf_counter() - begun)
    return min(taken[dtype]) > _WORTH * min(taken[torch.float32])


@cache
def _works_with(dtype: torch.dtype) -> bool:
    rows, weight, bias = (torch.linspace(-1, 1, n).to(dtype) for n in (5 * 32, 48 * 32, 48))
    rows, weight = rows.view(1, 5, 32), weight.view(48, 32)
    try:
        with torch.inference_mode():
            found = _linear(_reordered(weight), bias, True, rows)
            right = F.gelu(F.linear(rows.float(), weight.float(), bias.float()), approximate="tanh")
    except FOREIGN_FAILURES:
        return False
    tolerance = 1e-5 if dtype == torch.float32 else 1e-2  # 16 bits round by 1/256 of a number
    return torch.allclose(found.float(), right, rtol=tolerance, atol=tolerance)


def _before_gelu(modules: Iterable[nn.Module]) -> dict[nn.Module, nn.GELU]:
    """Layers that a GELU follows, and nothing between them: a hook of a LoRA would come too late."""
    found = {}
    for module in modules:
        if isinstance(module, nn.Sequential) and len(module) > 1:
            layer, gelu = module[0], module[1]
            if isinstance(gelu, nn.GELU) and gelu.approximate == "tanh" and not layer._forward_hooks:
                found[layer] = gelu
    return found


def _reordered(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous())


def _linear(weight: Tensor, bias: Tensor | None, gelu: bool, x: Tensor) -> Tensor:
    """(..., in) -> (..., out), in the precision of the weight and handed on in that of x."""
    post = "gelu" if gelu else "none"
    return torch.ops.mkldnn._linear_pointwise(x.to(weight.dtype), weight, bias, post, [], "tanh").to(x.dtype)


def _pass_on(x: Tensor) -> Tensor:
    return x
