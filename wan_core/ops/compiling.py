"""Compiling the blocks of a model: each is translated once, and all of a kind share what came of it."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec

import torch
from torch import nn

from wan_core.ops.failures import FOREIGN_FAILURES, first_line
from wan_core.schema.compiling import COMPILE_ARGUMENTS, CompileMode

_log = logging.getLogger(__name__)

_COMPILERS = ("g++", "c++", "clang++", "cl")
_NEEDS = {"cpu": "a C++ compiler such as g++", "cuda": "the Python package triton and a C compiler"}


def compiling_impossible(device: torch.device) -> str | None:
    """One sentence on what compiling lacks here, by a look alone; None where it is worth a trial."""
    need = _NEEDS.get(device.type)
    if need is None:
        return f"Compiling is not done on {device.type}."
    has_compiler = bool(os.environ.get("CXX")) or any(map(shutil.which, _COMPILERS))
    if not has_compiler or (device.type == "cuda" and find_spec("triton") is None):
        return f"Compiling needs {need}, which this machine lacks."
    return None


@cache
def compiling_unsupported(device: torch.device) -> str | None:
    """One sentence on why nothing can be compiled here; None where a trial ran. Asked once a process."""
    if impossible := compiling_impossible(device):
        return impossible
    numbers = torch.linspace(-1.0, 1.0, 48)
    try:
        with torch.inference_mode():
            found = torch.compile(_trial)(numbers.to(device)).cpu()
    except FOREIGN_FAILURES as problem:
        _log.info("torch.compile failed its trial", exc_info=True)
        return f"Compiling failed its trial here, it needs {_NEEDS[device.type]}: {first_line(problem)}."
    finally:
        torch.compiler.reset()
    if not torch.allclose(found, _trial(numbers), atol=1e-4):
        return "Compiling does not work here: what was compiled computes other numbers."
    return None


def _trial(x: torch.Tensor) -> torch.Tensor:
    return x.sin() * 2 + x


@contextmanager
def compiled(blocks: Iterable[nn.Module], mode: CompileMode = "on") -> Iterator[int]:
    """Run these blocks compiled for the length of the block; yields how many are.

    One that something has hung itself into, such as a LoRA or the streaming of weights, runs as it is: what
    a hook does may change with every call. What torch cannot translate it runs as it is, too.
    """
    chosen = [block for block in blocks if mode in COMPILE_ARGUMENTS and not has_guests(block)]
    try:
        for block in chosen:
            # torch knows again what it has translated before
            block.forward = torch.compile(block.forward, **COMPILE_ARGUMENTS[mode])
        yield len(chosen)
    finally:
        for block in chosen:
            block.__dict__.pop("forward", None)


def has_guests(module: nn.Module) -> bool:
    """Whether something has hung itself into a module or a part of it."""
    return any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
