"""The tensors of an upscaler -> a net that can be run, by spandrel, which knows some forty kinds of them.

The tensors may come from anybody. Which net they are of is told by their names and sizes, so what these could
make spandrel build is bounded before and while it builds.
"""

from __future__ import annotations

import copy
import importlib
import math
import re
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from wan_core.ops.out_of_memory import is_out_of_memory
from wan_core.schema import InvalidRequest, WeightsError
from wan_core.upscaling.shelf import INSTALL

_PREFIXES = ("module.", "netG.", "params_ema.", "params.")
_MOST_LAYERS = 1000
_LARGEST_SIDE = 2**16
_SPARE_BYTES, _SPARE_SHARE = 256 * 2**20, 4
_KEPT_AS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_KEPT_AS += (torch.int64, torch.int32, torch.uint8, torch.bool)  # places and switches
_NUMBER = re.compile(r"(?:^|\.)(\d+)(?=\.|$)")

# What spandrel raises on tensors that are almost those of a net that it knows
_MISFITS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError)


@dataclass(frozen=True)
class Net:
    """A net that makes pictures larger.

    Attributes:
        model: spandrel's descriptor: ``model(frame)`` is (1, 3, H, W) -> (1, 3, H * scale, W * scale),
            both in [0, 1].
        scale: how many times larger.
        dtypes: what it may be computed in on a graphics card, the preferred first.
        tiles: whether a picture may be cut up for it.
    """

    model: Any
    scale: int
    dtypes: tuple[torch.dtype, ...]
    tiles: bool

    def on(self, device: torch.device, dtype: torch.dtype) -> Net:
        """A copy of it there; this one stays exact."""
        return replace(self, model=copy.deepcopy(self.model).to(device, dtype))


def build_net(name: str, tensors: Mapping[str, Tensor]) -> Net:
    """The net that these tensors are of, on the CPU in float32.

    Raises:
        InvalidRequest: spandrel is not installed, or does not work here.
        WeightsError: they are of no upscaler that is known, or not to be trusted.
    """
    spandrel = _library()
    state = _without_prefix({key: _exact(tensor) for key, tensor in _checked(name, tensors).items()})
    limit = sum(tensor.nbytes for tensor in state.values()) * _SPARE_SHARE + _SPARE_BYTES
    try:
        with _Bounded(limit):
            model = spandrel.ModelLoader().load_from_state_dict(state)
    except spandrel.UnsupportedModelError as error:
        raise WeightsError(
            f"{name} is no upscaler that spandrel knows; choose another, such as a Real-ESRGAN one."
        ) from error
    except _MISFITS as error:
        if is_out_of_memory(error):
            raise
        raise WeightsError(
            f"{name} is damaged or no upscaler ({type(error).__name__}); choose another."
        ) from error
    plain = isinstance(model, spandrel.ImageModelDescriptor) and model.purpose in ("SR", "Restoration")
    if not plain or (model.input_channels, model.output_channels) != (3, 3):
        raise WeightsError(
            f"{name} does not make colour pictures larger; choose an upscaler of photos or films."
        )
    model.eval()
    halves = ((torch.float16, model.supports_half), (torch.bfloat16, model.supports_bfloat16))
    dtypes = (*(dtype for dtype, may in halves if may), torch.float32)
    return Net(model, model.scale, dtypes, model.tiling is not spandrel.ModelTiling.INTERNAL)


def _checked(name: str, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors, none of which is packed or tells of a net that nobody could hold."""
    for key, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or tensor.dtype not in _KEPT_AS:
            raise WeightsError(f"{name} keeps {key[:60]} in a way that no upscaler does; choose another.")
        sides = tensor.shape
        numbers = [int(number[:9]) for number in _NUMBER.findall(key)]
        if max(sides, default=1) > _LARGEST_SIDE or 0 in sides or max(numbers, default=0) > _MOST_LAYERS:
            raise WeightsError(f"{name} has {key[:60]} in a size that no upscaler has; do not use it.")
    return tensors


def _exact(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype.is_floating_point else tensor


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        if state and all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): tensor for key, tensor in state.items()}
    return state


def _library() -> Any:
    """spandrel.

    Raises:
        InvalidRequest: it is not there, or cannot be imported.
    """
    try:
        with torchvision_or_nothing():
            return importlib.import_module("spandrel")
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        problem = str(error).partition("\n")[0][:160]
        raise InvalidRequest(
            "upscaler",
            f"the library spandrel, which runs upscalers, cannot be used ({problem})",
            f"Run {INSTALL}, or leave the upscaler out.",
        ) from error


@contextmanager
def torchvision_or_nothing() -> Iterator[None]:
    """While spandrel is imported, an empty torchvision where there is none, or none that fits this torch.

    Two of its nets name it, neither of them an upscaler; the others must not want for it.
    """
    names = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
    try:
        importlib.import_module(names[-1])
        names = ()
    except (ImportError, RuntimeError, OSError, AttributeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
    for name in names:
        sys.modules[name] = _Nothing(name)
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


class _Nothing(types.ModuleType):
    """A module in which every name stands for nothing."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


class _Bounded(TorchDispatchMode):
    """Refuses to make more than ``limit`` bytes of tensors in all."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._left = limit

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in _FACTORIES:
            self._left -= 4 * math.prod(args[0])
            if self._left < 0:
                raise ValueError("it would be larger than its file")
        return func(*args, **(kwargs or {}))


_FACTORIES = frozenset(
    getattr(torch.ops.aten, name)
    for name in ("empty", "empty_strided", "zeros", "ones", "full", "rand", "randn")
)
"""What makes a tensor of the size that its first argument tells."""
