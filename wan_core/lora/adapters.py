"""Changes of one matrix or vector, each by the algebra of its kind.

An adapter knows two things. ``delta`` is what it adds to the weights at strength 1, and ``add`` puts the
same change on the output of a layer without forming it where it need not be: exact on weights that are
stored in any form, as the layer itself is left alone. Its tensors are buffers, so that they move with the
layer, but no part of a checkpoint.
"""

# n rows, r rank; a layer's matrix is (out, in)

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Layer:
    """What an adapter may ask of the linear layer that it changes.

    Args:
        module: the layer.
        own: (n, out), its own product with the input at hand, without bias; for a ``Directed`` one.
    """

    def __init__(self, module: nn.Module, own: Tensor | None = None) -> None:
        self._module = module
        self.own = own

    def product(self, x: Tensor) -> Tensor:
        """(n, in) -> (n, out): the layer's own product, without bias and without any adapter."""
        product, bias = self._module.forward(x), self._module.bias
        return product if bias is None else product - bias.to(product.dtype)

    def weight(self) -> Tensor:
        """(out, in), float32, however it is stored."""
        dequantise: Callable[[], Tensor] | None = getattr(self._module, "dequantise", None)
        return (self._module.weight if dequantise is None else dequantise()).float()


class Adapter(nn.Module, ABC):
    """A change of the parameter called ``parameter``."""

    parameter = "weight"

    def __init__(self, **tensors: Tensor) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor, persistent=False)

    @abstractmethod
    def delta(self, weight: Tensor) -> Tensor:
        """What is added to ``weight`` at strength 1, float32, on its device.

        A matrix (out, in) for a weight, whose further dimensions are taken as one; a vector for a bias.
        """

    @abstractmethod
    def add(self, y: Tensor, x: Tensor, strength: float, layer: Layer) -> None:
        """Add ``strength`` times the change of the output to ``y`` (n, out), given the input (n, in)."""

    def meet(self, x: Tensor) -> None:
        """Bring the tensors to the device and dtype of ``x``, where they are not yet."""
        for name, tensor in self._buffers.items():
            if tensor.device != x.device or tensor.dtype != x.dtype:
                self._buffers[name] = tensor.to(x.device, x.dtype)

    def full(self, name: str, like: Tensor) -> Tensor:
        """A tensor in float32 on the device of ``like``."""
        return getattr(self, name).to(like.device, torch.float32)


class LowRank(Adapter):
    """up @ down * scale."""

    def __init__(self, down: Tensor, up: Tensor, scale: float) -> None:
        super().__init__(down=down, up=up)
        self.scale = scale

    def delta(self, weight: Tensor) -> Tensor:
        return self.full("up", weight) @ self.full("down", weight) * self.scale

    def add(self, y: Tensor, x: Tensor, strength: float, layer: Layer) -> None:
        self.meet(x)
        y.addmm_(F.linear(x, self.down), self.up.t(), alpha=strength * self.scale)


class Whole(Adapter):
    """A change that is given as it is."""

    def __init__(self, change: Tensor) -> None:
        super().__init__(change=change)

    def delta(self, weight: Tensor) -> Tensor:
        return self.full("change", weight)

    def add(self, y: Tensor, x: Tensor, strength: float, layer: Layer) -> None:
        self.meet(x)
        y.addmm_(x, self.change.t(), alpha=strength)


class Shift(Adapter):
    """A change of the bias."""

    parameter = "bias"

    def __init__(self, change: Tensor, scale: float = 1.0) -> None:
        super().__init__(change=change)
        self.scale = scale

    def delta(self, weight: Tensor) -> Tensor:
        return self.full("change", weight) * self.scale

    def add(self, y: Tensor, x: Tensor, strength: float, layer: Layer) -> None:
        self.meet(x)
        y.add_(self.change, alpha=strength * self.scale)


class Hadamard(Adapter):
    """LoHa: the elementwise product of two low-rank matrices, formed when it is needed."""

    def __init__(self, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], scale: float) -> None:
        super().__init__(a1=first[0], b1=first[1], a2=second[0], b2=second[1])
        self.scale = scale

    def delta(self, weight: Tensor) -> Tensor:
        first = self.full("a1", weight) @ self.full("b1", weight)
        return first * (self.full("a2", weight) @ self.full("b2", weight)) * self.scale

    def add(self, y: Tensor, x: Tensor, strength: float, layer: Layer) -> None:
        self.meet(x)
        y.addmm_(x, ((self.a1 @ self.b1) * (self.a2 @ self.b2)).t(), alpha=strength * self.scale)


class Kronecker(Adapter):
    """LoKr: the Kronecker product of a small and a large matrix, which is never formed."""

    def __init__(self, small: Tensor, large: Tensor, scale: float) -> None:
        super().__init__(small=small, large=large)
        self.scale = scale

    def delta(self, weight: Tensor) -> Tensor:
        return torch.kron(self.full("small", weight), self.full("large", weight)) * self.scale

    def add(self, y: Tensor, x: Tensor, strength: float, layer: Layer) -> None:
        self.meet(x)
        parts = F.linear(x.unflatten(1, (self.small.shape[1], -1)), self.large)
        y.add_((self.small @ parts).flatten(1), alpha=strength * self.scale)


class Glora(Adapter):
    """GLoRA: the layer's own matrix times a low-rank one, plus another low-rank one."""

    def __init__(self, within: tuple[Tensor, Tensor], beside: tuple[Tensor, Tensor], scale: float) -> None:
        super().__init__(a1=within[0], a2=within[1], b1=beside[0], b2=beside[1])
        self.scale = scale

    def delta(self, weight: Tensor) -> Tensor:
        within = weight.float() @ self.full("a1", weight) @ self.full("a2", weight)
        return (within + self.full("b1", weight) @ self.full("b2", weight)) * self.scale

    def add(self, y: Tensor, x: Tensor, strength: float, layer: Layer) -> None:
        self.meet(x)
        turned = F.linear(F.linear(x, self.a2), self.a1)
        y.add_(layer.product(turned), alpha=strength * self.scale)
        y.addmm_(F.linear(x, self.b2), self.b1.t(), alpha=strength * self.scale)


class Directed(Adapter):
    """DoRA: the weights with another adapter's change, each row or column brought to a length of its own.

    ``strength`` moves from the layer's own weights, at 0, to these, at 1.

    Args:
        change: the adapter that turns the rows or columns.
        magnitude: their lengths: (out, 1) or (1, in).
    """

    def __init__(self, change: Adapter, magnitude: Tensor) -> None:
        super().__init__(magnitude=magnitude)
        self.change = change
        self._gain: Tensor | None = None

    def delta(self, weight: Tensor) -> Tensor:
        weight = weight.float()
        turned = weight + self.change.delta(weight)
        return self._gain_of(turned) * turned - weight

    def add(self, y: Tensor, x: Tensor, strength: float, layer: Layer) -> None:
        if self._gain is None:
            weight = layer.weight()
            self._gain = self._gain_of(weight + self.change.delta(weight))
        gain = self._gain.to(x.device).flatten()
        added = (gain - 1).to(x.dtype)
        if self.of_columns:
            y.add_(layer.product(x * added), alpha=strength)
            self.change.add(y, x * gain.to(x.dtype), strength, layer)
            return
        turned = torch.zeros_like(y)
        self.change.add(turned, x, 1.0, layer)
        y.add_(turned.mul_(gain.to(x.dtype)).addcmul_(layer.own, added), alpha=strength)

    @property
    def of_columns(self) -> bool:
        """Whether it brings columns, not rows, to their lengths."""
        return self.magnitude.shape[0] == 1 and self.magnitude.shape[1] != 1

    def _gain_of(self, turned: Tensor) -> Tensor:
        """What each row (out, 1) or column (1, in) of the changed weights is multiplied by."""
        return self.full("magnitude", turned) / turned.norm(dim=0 if self.of_columns else 1, keepdim=True)
