"""Linear layers as oneDNN likes them on a CPU: weights in its own order, and GELU in the same pass.

Where a processor multiplies float32 faster than the 16 bits of the weights, products are made in float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import psutil
from torch import Tensor, nn

from wan_core.ops.onednn import gains_by_float32, linear, reordered, works_with

_RAM_SHARE = 1 / 3
"""Of the free RAM, what reordered copies of weights may take; the rest keep their order, which is slower."""


@contextmanager
def packed(blocks: Iterable[nn.Module], wanted: bool = True) -> Iterator[int]:
    """Run the linear layers of these blocks with oneDNN for the length of the block; yields how many.

    Weights themselves stay as and where they are, so hooks, such as those of LoRAs, see no difference.
    """
    modules = [module for block in blocks if wanted for module in block.modules()]
    room = int(psutil.virtual_memory().available * _RAM_SHARE)
    layers = [module for module in modules if _is_plain(module)]
    widened = _widened(layers, room)
    layers = [layer for layer in layers if layer in widened or works_with(layer.weight.dtype)]
    with_gelu = _before_gelu(modules)
    changed: list[nn.Module] = []
    try:
        for layer in layers:
            weight, bias = layer.weight.detach(), layer.bias
            if layer in widened:
                weight, bias = weight.float(), bias if bias is None else bias.detach().float()
            room -= weight.nbytes
            if room >= 0:
                weight = reordered(weight)
            gelu = with_gelu.get(layer)
            layer.forward = partial(linear, weight, bias, gelu is not None)
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
    gaining = {layer for layer in layers if gains_by_float32(layer.weight.dtype)}
    return gaining if sum(layer.weight.numel() for layer in gaining) * 4 <= room else set()


def _before_gelu(modules: Iterable[nn.Module]) -> dict[nn.Module, nn.GELU]:
    """Layers that a GELU follows, and nothing between them: a hook of a LoRA would come too late."""
    found = {}
    for module in modules:
        if isinstance(module, nn.Sequential) and len(module) > 1:
            layer, gelu = module[0], module[1]
            if isinstance(gelu, nn.GELU) and gelu.approximate == "tanh" and not layer._forward_hooks:
                found[layer] = gelu
    return found


def _pass_on(x: Tensor) -> Tensor:
    return x
