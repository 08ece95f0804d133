"""LoRAs on a model for the length of a job: beside its layers, and taken off again without a trace.

A linear layer is left as it is, packed weights included, and each change is added to its output. What is
no linear layer (a norm, a convolution, a modulation) is small; its changed copy stands in while the
layer or block runs. Nothing is written into the model's own tensors, so what holds or moves them need
not know.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from wan_core.lora.adapters import Adapter, Directed, Layer
from wan_core.lora.fitting import Fit
from wan_core.schema.lora import LoraUse

_CHILD = "lora"


@dataclass
class Strength:
    """What a LoRA's changes are multiplied by in the step that runs."""

    use: LoraUse
    now: float = 0.0

    def __post_init__(self) -> None:
        self.now = self.use.strength_at(0)


class Worn:
    """The LoRAs on a model; see ``wearing``."""

    def __init__(self, strengths: Sequence[Strength]) -> None:
        self._strengths = strengths

    def begin_step(self, step: int) -> bool:
        """Give every LoRA its strength in a step, counted from 0; whether one is another than before."""
        before = [strength.now for strength in self._strengths]
        for strength in self._strengths:
            strength.now = strength.use.strength_at(step)
        return before != [strength.now for strength in self._strengths]


class _Changes(nn.Module):
    """What is done to one part; a child of the layer, so that its tensors move with the layer's."""

    def __init__(self, changes: Sequence[tuple[Strength, Adapter]]) -> None:
        super().__init__()
        self._strengths = [strength for strength, _ in changes]
        self._adapters = nn.ModuleList(adapter for _, adapter in changes)

    def now(self) -> list[tuple[float, Adapter]]:
        """The changes, each with its strength in this step."""
        pairs = zip(self._strengths, self._adapters, strict=True)
        return [(strength.now, adapter) for strength, adapter in pairs]


@contextmanager
def wearing(model: nn.Module, fits: Sequence[Fit]) -> Iterator[Worn]:
    """Put LoRAs on a model; at the end of the block the model is as it was.

    Args:
        model: a Wan DiT, of which no other ``wearing`` is under way.
        fits: of ``fit``, each for this block alone: their tensors move to the model's device.
    """
    strengths = [Strength(one.use) for one in fits]
    changes: dict[str, list[tuple[Strength, Adapter]]] = defaultdict(list)
    for strength, one in zip(strengths, fits, strict=True):
        for path, adapters in one.adapters.items():
            changes[path] += [(strength, adapter) for adapter in adapters]
    handles: list[RemovableHandle] = []
    owners: list[nn.Module] = []
    config = getattr(model, "config", None)
    try:
        for owner, parts in _by_owner(model, changes).items():
            assert _CHILD not in owner._modules, "this model wears LoRAs already"
            place = next(chain(owner.parameters(), owner.buffers())).device
            child = nn.ModuleDict({name: _Changes(made) for name, made in parts.items()})
            owner.add_module(_CHILD, child.to(place))
            owners.append(owner)
            handles += _dress(owner)
        if wider := max((one.in_dim or 0 for one in fits), default=0):
            model.config = dataclasses.replace(config, in_dim=wider)
        yield Worn(strengths)
    finally:
        for handle in handles:
            handle.remove()
        for owner in owners:
            del owner._modules[_CHILD]
        if config is not None:
            model.config = config


def _by_owner(
    model: nn.Module, changes: dict[str, list[tuple[Strength, Adapter]]]
) -> dict[nn.Module, dict[str, list[tuple[Strength, Adapter]]]]:
    """Module -> name of its parameter -> the changes; of a linear layer all are under ``_LINEAR``."""
    owners: dict[nn.Module, dict[str, list[tuple[Strength, Adapter]]]] = defaultdict(dict)
    modules = dict(model.named_modules())
    for path, made in changes.items():
        owner, lone = modules.get(path), None
        if owner is None:
            path, _, lone = path.rpartition(".")
            owner = modules[path]
        for strength, adapter in made:
            name = _LINEAR if is_linear(owner) else lone or adapter.parameter
            owners[owner].setdefault(name, []).append((strength, adapter))
    return owners


_LINEAR = "output"


def is_linear(module: nn.Module) -> bool:
    """Whether it is a linear layer, whatever its weights are packed in."""
    return hasattr(module, "out_features")


def _dress(owner: nn.Module) -> list[RemovableHandle]:
    if is_linear(owner):
        return [owner.register_forward_hook(_add_to_output)]
    stand_in = _StandIn()
    return [
        owner.register_forward_pre_hook(stand_in.enter),
        owner.register_forward_hook(stand_in.leave, always_call=True),
    ]


def _add_to_output(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    changes = [change for change in module.get_submodule(_CHILD)[_LINEAR].now() if change[0]]
    if not changes:
        return output
    y = output.flatten(0, -2)
    x = inputs[0].flatten(0, -2).to(y.dtype)
    layer = Layer(module)
    if any(isinstance(adapter, Directed) for _, adapter in changes):
        layer.own = y.clone() if module.bias is None else y - module.bias.to(y.dtype)
    for strength, adapter in changes:
        adapter.add(y, x, strength, layer)
    return y.view(output.shape)


class _StandIn:
    """Changed copies of a module's own parameters, in their place while it runs."""

    def __init__(self) -> None:
        self._own: dict[str, nn.Parameter] = {}

    def enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        for name, changes in module.get_submodule(_CHILD).items():
            own = module._parameters[name]
            self._own[name] = own
            module._parameters[name] = nn.Parameter(changed(own, changes.now()), requires_grad=False)

    def leave(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        module._parameters.update(self._own)
        self._own = {}


def changed(weight: Tensor, changes: Sequence[tuple[float, Adapter]]) -> Tensor:
    """``weight`` plus the changes, summed in float32, in its own dtype.

    What a Control-LoRA adds to a convolution's input channels begins at zero.
    """
    return summed(weight, changes).to(weight.dtype)


def summed(weight: Tensor, changes: Sequence[tuple[float, Adapter]]) -> Tensor:
    """As ``changed``, in float32."""
    own = total = weight.float()
    for strength, adapter in changes:
        delta = adapter.delta(own.flatten(1) if own.ndim > 1 else own)
        total = _as_wide(total, delta.numel() // weight.shape[0])
        total = total + strength * delta.reshape(total.shape)
    return total


def _as_wide(weight: Tensor, columns: int) -> Tensor:
    """``weight`` (out, in, ...) with as many input channels as make ``columns`` columns; new ones are 0."""
    if weight.ndim < 2 or columns == weight[0].numel():
        return weight
    kernel = weight[0, 0].numel()
    padding = [0, 0] * (weight.ndim - 2) + [0, columns // kernel - weight.shape[1]]
    return F.pad(weight, padding)
