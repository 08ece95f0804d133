"""Linear layers as oneDNN likes them on a CPU: weights in its own order, and GELU in the same pass."""

from __future__ import annotations

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


@contextmanager
def packed(blocks: Iterable[nn.Module], wanted: bool = True) -> Iterator[int]:
    """Run the linear layers of these blocks with oneDNN for the length of the block; yields how many.

    Weights themselves stay as and where they are, so hooks, such as those of LoRAs, see no difference.
    """
    modules = [module for block in blocks if wanted for module in block.modules()]
    layers = [module for module in modules if _is_packable(module)]
    with_gelu = _before_gelu(modules)
    room = int(psutil.virtual_memory().available * _RAM_SHARE)
    changed: list[nn.Module] = []
    try:
        for layer in layers:
            weight = layer.weight.detach()
            room -= weight.nbytes
            if room >= 0:
                weight = _reordered(weight)
            gelu = with_gelu.get(layer)
            layer.forward = partial(_linear, weight, layer.bias, gelu is not None)
            changed.append(layer)
            if gelu is not None:
                gelu.forward = _pass_on
                changed.append(gelu)
        yield len(layers)
    finally:
        for module in changed:
            module.__dict__.pop("forward", None)


def _is_packable(module: nn.Module) -> bool:
    """A plain layer on a CPU whose weights do not come and go, where a trial came out right."""
    if type(module) is not nn.Linear or module._forward_pre_hooks:
        return False
    return module.weight.device.type == "cpu" and _works_with(module.weight.dtype)


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
    """(..., in) -> (..., out)."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "gelu" if gelu else "none", [], "tanh")


def _pass_on(x: Tensor) -> Tensor:
    return x
