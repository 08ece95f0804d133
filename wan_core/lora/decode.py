"""From the tensors that a file holds for one part of a model to the adapters that change it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from torch import Tensor

from wan_core.lora.adapters import (
    Adapter,
    Directed,
    Glora,
    Hadamard,
    Kronecker,
    LowRank,
    Shift,
    Whole,
)

Kinds = Mapping[str, Tensor]
"""What a tensor is (see ``wan_core.lora.names``) -> the tensor."""

ScaleOf = Callable[[int | None], float]
"""The rank of a part -> what its product is multiplied by where the part has no alpha of its own.

The rank is None where no matrix has one.
"""


class Misfit(Exception):
    """The tensors of a part cannot be used; ``str`` says why in a few words."""


def decode(kinds: Kinds, shape: tuple[int, ...], scale_of: ScaleOf) -> list[Adapter]:
    """The adapters of one part.

    Args:
        kinds: the tensors.
        shape: of the part's weight (out, in, ...) or vector; a convolution's kernel counts as input.
        scale_of: of a part without alpha.

    Raises:
        Misfit: a tensor is missing, of another shape, or of a kind that is not known.
    """
    left = set(kinds) - {"alpha", "new_shape"}
    adapters: list[Adapter] = []
    for names, build in _FORMS:
        if names[0] in left:
            if missing := [name for name in names if name not in left]:
                raise Misfit(f"{missing[0]} is missing")
            adapters.append(build(kinds, scale_of))
            left -= set(names)
    left -= _add_kronecker(kinds, adapters, scale_of)
    matrix = (shape[0], math.prod(shape[1:])) if len(shape) > 1 else shape
    for adapter in adapters:
        _check(adapter, matrix)
    if "magnitude" in left and len(adapters) == 1 and len(matrix) == 2:
        adapters = [Directed(adapters[0], _lengths(kinds["magnitude"], matrix))]
        left.remove("magnitude")
    adapters += _shifts(kinds, left, scale_of)
    if left - {"diff_b", "up_bias"}:
        raise Misfit(f"{min(left)} is not known")
    if not adapters:
        raise Misfit("it changes nothing")
    return adapters


def _scale(kinds: Kinds, rank: int, scale_of: ScaleOf) -> float:
    """alpha / rank; without an alpha what the file's metadata say, else 1."""
    if rank < 1:
        raise Misfit("its rank is 0")
    if "alpha" not in kinds:
        return scale_of(rank)
    if kinds["alpha"].numel() != 1 or not math.isfinite(alpha := float(kinds["alpha"])):
        raise Misfit("alpha is no number")
    return alpha / rank


def _flat(tensor: Tensor) -> Tensor:
    """A matrix; the kernel of a convolution counts as columns."""
    if tensor.ndim < 2:
        raise Misfit("a matrix is a vector")
    return tensor.flatten(1)


def _pair(kinds: Kinds, first: str, second: str) -> tuple[Tensor, Tensor]:
    """Two matrices that can be multiplied."""
    left, right = _flat(kinds[first]), _flat(kinds[second])
    if left.shape[1] != right.shape[0]:
        raise Misfit(f"{first} and {second} have different ranks")
    return left, right


def _low_rank(kinds: Kinds, scale_of: ScaleOf) -> Adapter:
    up, down = _pair(kinds, "up", "down")
    return LowRank(down, up, _scale(kinds, down.shape[0], scale_of))


def _hadamard(kinds: Kinds, scale_of: ScaleOf) -> Adapter:
    first, second = _pair(kinds, "hada_w1_a", "hada_w1_b"), _pair(kinds, "hada_w2_a", "hada_w2_b")
    if (first[0].shape[0], first[1].shape[1]) != (second[0].shape[0], second[1].shape[1]):
        raise Misfit("the factors have different shapes")
    return Hadamard(first, second, _scale(kinds, first[1].shape[0], scale_of))


def _glora(kinds: Kinds, scale_of: ScaleOf) -> Adapter:
    within, beside = _pair(kinds, "a1", "a2"), _pair(kinds, "b1", "b2")
    return Glora(within, beside, _scale(kinds, beside[1].shape[0], scale_of))


def _whole(kinds: Kinds, scale_of: ScaleOf) -> Adapter:
    change = kinds["diff"]
    return Whole(change.flatten(1) if change.ndim > 1 else change)


# The tensors that make an adapter -> how it is made of them
_FORMS: tuple[tuple[tuple[str, ...], Callable[[Kinds, ScaleOf], Adapter]], ...] = (
    (("down", "up"), _low_rank),
    (("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"), _hadamard),
    (("a1", "a2", "b1", "b2"), _glora),
    (("diff",), _whole),
)


def _add_kronecker(kinds: Kinds, adapters: list[Adapter], scale_of: ScaleOf) -> set[str]:
    """A LoKr, whose factors are whole or themselves of low rank; returns the tensors that it is made of."""
    used = {name for name in kinds if name.startswith("lokr_w")}
    if not used:
        return used
    factors, rank = [], None
    for factor in ("lokr_w1", "lokr_w2"):
        if factor in kinds:
            factors.append(_flat(kinds[factor]))
        elif f"{factor}_a" in kinds and f"{factor}_b" in kinds:
            left, right = _pair(kinds, f"{factor}_a", f"{factor}_b")
            rank = right.shape[0]
            factors.append((left.float() @ right.float()).to(left.dtype))
        else:
            raise Misfit(f"{factor} is missing")
    scale = scale_of(None) if rank is None else _scale(kinds, rank, scale_of)
    adapters.append(Kronecker(factors[0], factors[1], scale))
    return used


def _shape_of(adapter: Adapter) -> tuple[int, ...]:
    """The shape of what an adapter adds."""
    if isinstance(adapter, Glora):
        if adapter.a1.shape[0] != adapter.b2.shape[1] or adapter.a2.shape[1] != adapter.b2.shape[1]:
            raise Misfit("its factors have different shapes")
        return adapter.b1.shape[0], adapter.b2.shape[1]
    if isinstance(adapter, LowRank):
        return adapter.up.shape[0], adapter.down.shape[1]
    if isinstance(adapter, Hadamard):
        return adapter.a1.shape[0], adapter.b1.shape[1]
    if isinstance(adapter, Kronecker):
        small, large = adapter.small.shape, adapter.large.shape
        return small[0] * large[0], small[1] * large[1]
    return tuple(adapter.change.shape)


def _check(adapter: Adapter, shape: tuple[int, ...]) -> None:
    found = _shape_of(adapter)
    if tuple(found) != tuple(shape):
        raise Misfit(f"it is {_words(found)}, not {_words(shape)}")


def _words(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _lengths(magnitude: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A DoRA's magnitude as (out, 1) or (1, in)."""
    if magnitude.ndim >= 2 and magnitude.shape[0] == 1 and magnitude.numel() == shape[1] != 1:
        return magnitude.reshape(1, -1)
    if magnitude.numel() == shape[0]:
        return magnitude.reshape(-1, 1)
    raise Misfit(f"its magnitude has {magnitude.numel()} lengths, not {shape[0]}")


def _shifts(kinds: Kinds, left: set[str], scale_of: ScaleOf) -> list[Adapter]:
    """The changes of a part's bias, which ``fit`` has found to have one of this length."""
    shifts: list[Adapter] = []
    if "diff_b" in left:
        shifts.append(Shift(kinds["diff_b"]))
    if "up_bias" in left:  # PEFT's lora_bias lies behind the scale
        rank = kinds["down"].shape[0] if "down" in kinds else 1
        shifts.append(Shift(kinds["up_bias"], _scale(kinds, rank, scale_of)))
    return shifts
