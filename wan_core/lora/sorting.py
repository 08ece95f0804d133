"""The tensors of a LoRA file, sorted by the part of a model that they belong to. Imports no torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from wan_core.lora.names import read_key, spellings
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.parts import part_shapes

WIDENED = "patch_embedding"
"""The part that a Control-LoRA gives more input channels."""

LONE = ("modulation", "emb_pos")
"""Parameters that are no layer's weight or bias."""

_PLAIN = {"diff_m": "diff"}

Value = TypeVar("Value")  # a tensor, or its shape


class SortedParts(Generic[Value]):
    """The tensors of a file, sorted by the part of the model that they belong to.

    Args:
        tensors: name in the file -> tensor, or its shape.
        paths: the official names of the model's parts.

    Attributes:
        known: official name -> the name in the file, and the tensors by what they are.
        titles: how often each format's names occur.
        unmatched: name in the file -> why it is not used.
    """

    def __init__(self, tensors: Mapping[str, Value], paths: Collection[str]) -> None:
        self.known: dict[str, tuple[str, dict[str, Value]]] = {}
        self.titles: Counter[str] = Counter()
        self.unmatched: dict[str, str] = {}
        owners = {path.rpartition(".")[0] for path in paths if path.endswith(f".{LONE[0]}")}
        table = spellings([*paths, *sorted(owners)])
        for name, tensor in tensors.items():
            key = read_key(name)
            title, path = table.get(key[0], ("", "")) if key else ("", "")
            if path in owners and key[1] == "diff_m":
                path = f"{path}.{LONE[0]}"
            if key is None or path not in paths:
                problem = "the model has no such part" if key else "it is no change of weights"
                self.unmatched[key[0] if key else name] = problem
                continue
            if path not in self.known:
                self.titles[title] += 1
            self.known.setdefault(path, (key[0], {}))[1][_PLAIN.get(key[1], key[1])] = tensor


class PartsCount(NamedTuple):
    """How many parts of a file fit a model, of how many."""

    fitting: int
    total: int


def count_parts(shapes: Mapping[str, Sequence[int]], config: DiTConfig) -> PartsCount:
    """What ``fit`` will say of a file, as far as its header tells: by names, and by shapes of matrices."""
    wanted = part_shapes(config)
    parts = SortedParts(shapes, wanted)
    fitting = sum(_fits(path, kinds, wanted[path], config) for path, (_, kinds) in parts.known.items())
    return PartsCount(fitting, len(parts.known) + len(parts.unmatched))


def widened_shape(
    path: str, columns: int, shape: tuple[int, ...], config: DiTConfig
) -> tuple[int, ...] | None:
    """The shape that the patch embedding has with a Control-LoRA of so many columns; None if it is none.

    It then reads one more clip of latents beside the noisy one.
    """
    wider = 2 * config.out_dim
    grows = path == WIDENED and config.in_dim == config.out_dim
    return (shape[0], wider, *shape[2:]) if grows and columns == wider * math.prod(shape[2:]) else None


def _fits(path: str, kinds: Mapping[str, Sequence[int]], shape: tuple[int, ...], config: DiTConfig) -> bool:
    down, up = kinds.get("down"), kinds.get("up")
    if (down is None) != (up is None):
        return False
    changed = kinds.get("diff") if down is None else (*up[:1], *down[1:])
    if changed is None:  # of another kind, or of a bias alone
        return bool(kinds.keys() - {"alpha", "new_shape", "magnitude"})
    found = _flat(changed)
    return found == _flat(widened_shape(path, found[-1] if found else 0, shape, config) or shape)


def _flat(shape: Sequence[int]) -> tuple[int, ...]:
    """As a matrix; a vector stays one."""
    return (shape[0], math.prod(shape[1:])) if len(shape) > 1 else tuple(shape)
