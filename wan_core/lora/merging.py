"""LoRAs added to the weights themselves, once, before a model is placed; reading its files again undoes it.

Nothing is slower then, but what the weights are kept in rounds the change: it is summed in float32 and
rounded at random to bfloat16, so that changes smaller than a step survive on average. Packed weights are
left alone, and what was meant for them is worn beside them.
"""

from __future__ import annotations

import dataclasses
import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from wan_core.lora.adapters import Adapter
from wan_core.lora.fitting import Fit
from wan_core.lora.sorting import WIDENED
from wan_core.lora.wearing import summed

_log = logging.getLogger(__name__)

_EXPONENT_BITS = 0x7F800000  # of a float32
_LOW_BITS = 16  # of a float32, which bfloat16 does not have


@dataclass(frozen=True)
class Merge:
    """What is merged into a model.

    Args:
        fits: the LoRAs, all of them used with ``merge``.
        identities: one of each file, see ``Lora``.
    """

    fits: tuple[Fit, ...]
    identities: tuple[str, ...]

    @cached_property
    def key(self) -> str:
        """Tells one merged model from another; of the same text, they are the same."""
        parts = [
            f"{one.use.model_dump_json()} {identity}"
            for one, identity in zip(self.fits, self.identities, strict=True)
        ]
        return "\n".join(parts)

    @torch.no_grad()
    def apply(self, model: nn.Module) -> None:
        """Replace the weights of a model that has just been loaded."""
        for path in dict.fromkeys(path for one in self.fits for path in one.adapters):
            if not _can_merge(model, path):
                continue
            changes = [
                (one.use.strength_at(0), adapter)
                for one in self.fits
                for adapter in one.adapters.get(path, ())
            ]
            for owner, name, made in _by_parameter(model, path, changes):
                own = owner._parameters[name]
                merged = rounded(summed(own, made), own.dtype, zlib.crc32(f"{path}.{name}".encode()))
                owner._parameters[name] = nn.Parameter(merged, requires_grad=False)
        _log.info("Merged %d LoRAs", len(self.fits))

    def left(self, model: nn.Module) -> list[Fit]:
        """What could not be merged into a model and is to be worn beside it."""
        rest = [
            dataclasses.replace(
                one,
                adapters={path: made for path, made in one.adapters.items() if not _can_merge(model, path)},
            )
            for one in self.fits
        ]
        return [one for one in rest if one.adapters]


def _can_merge(model: nn.Module, path: str) -> bool:
    """Whether a part's weights are plain numbers of at least 16 bits, and keep their shape."""
    owner, name = _owner(model, path)
    weight = owner._parameters.get(name)
    return weight is not None and weight.is_floating_point() and weight.itemsize > 1 and path != WIDENED


def _owner(model: nn.Module, path: str) -> tuple[nn.Module, str]:
    """The module that holds a part's weight, and the weight's name in it."""
    parent, _, name = path.rpartition(".")
    owner = model.get_submodule(parent)
    return (owner, name) if name in owner._parameters else (model.get_submodule(path), "weight")


def _by_parameter(
    model: nn.Module, path: str, changes: Sequence[tuple[float, Adapter]]
) -> list[tuple[nn.Module, str, list[tuple[float, Adapter]]]]:
    """A part's parameters, each with its own changes."""
    owner, weight = _owner(model, path)
    made: dict[str, list[tuple[float, Adapter]]] = {}
    for strength, adapter in changes:
        name = weight if adapter.parameter == "weight" else adapter.parameter
        made.setdefault(name, []).append((strength, adapter))
    return [(owner, name, parts) for name, parts in made.items()]


def rounded(numbers: Tensor, dtype: torch.dtype, seed: int) -> Tensor:
    """float32 -> ``dtype``; to bfloat16 up or down by chance, the nearer the likelier, the same each time."""
    if dtype is not torch.bfloat16:
        return numbers.to(dtype)
    generator = torch.Generator(numbers.device).manual_seed(seed)
    bits = numbers.contiguous().view(torch.int32)
    chance = torch.randint(
        2**_LOW_BITS, bits.shape, generator=generator, dtype=torch.int32, device=numbers.device
    )
    moved = (bits + chance).bitwise_and_(-(2**_LOW_BITS)).view(torch.float32)
    return torch.where(bits.bitwise_and(_EXPONENT_BITS) == _EXPONENT_BITS, numbers, moved).to(dtype)
