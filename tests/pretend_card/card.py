"""``torch.cuda`` as a program sees it that runs on one pretended card."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
import torch

from tests.pretend_card import tensors
from tests.pretend_card.tensors import STATE, CardMode, Event, Graph, Memory, Stream
from wan_core.manager import devices
from wan_core.ops import attention_timing
from wan_core.ops.attention_probe import attention_unsupported
from wan_core.ops.graphs import graphs_unsupported

NAME = "Pretended card"
ADA = (8, 9)
TOKENS = 128
"""Attention kernels are timed at this length; 81 frames would take minutes."""

_GUARD = Path(__file__).with_name("guard.cpp")


@cache
def guard_missing() -> str | None:
    """One sentence on why nothing can be pretended here; None where torch now knows of a CUDA device."""
    compiler = shutil.which("g++") or shutil.which("c++")
    if torch.backends.cuda.is_built():
        return "This torch is built for CUDA: there is nothing to pretend."
    if compiler is None:
        return "Pretending a card needs a C++ compiler."
    root = Path(torch.__file__).parent
    flags = ["-std=c++20", "-shared", "-fPIC", f"-I{root / 'include'}", f"-L{root / 'lib'}", "-lc10"]
    with TemporaryDirectory() as folder:
        library = str(Path(folder, "guard.so"))
        subprocess.run([compiler, str(_GUARD), *flags, "-o", library], check=True, capture_output=True)
        ctypes.CDLL(library)
    return None


@contextmanager
def pretended(total: int = 8 << 30, capability: tuple[int, int] = ADA) -> Iterator[tensors.State]:
    """One card of ``total`` bytes for the length of the block, in all threads that begin in it."""
    STATE.__init__(total)
    lifts_to_cpu = torch._C._only_lift_cpu_tensors()
    with pytest.MonkeyPatch.context() as patch, CardMode():
        _patch_cuda(patch, capability)
        _patch_threads(patch)
        patch.setitem(devices._AVAILABLE, "cuda", lambda: True)
        patch.setattr(attention_timing, "TOKENS", TOKENS)
        torch._C._set_only_lift_cpu_tensors(True)
        try:
            yield STATE
        finally:
            torch._C._set_only_lift_cpu_tensors(lifts_to_cpu)
            attention_unsupported.cache_clear()
            graphs_unsupported.cache_clear()


def _patch_cuda(patch: pytest.MonkeyPatch, capability: tuple[int, int]) -> None:
    memory = STATE.memory
    cudart = SimpleNamespace(cudaHostRegister=lambda *_: 0, cudaHostUnregister=lambda *_: 0)
    for name, value in {
        "init": None,
        "_lazy_init": None,
        "current_device": 0,
        "device_count": 1,
        "get_device_name": NAME,
        "get_device_capability": capability,
        "is_available": True,
        "is_bf16_supported": True,
        "empty_cache": None,
        "synchronize": None,
        "cudart": cudart,
    }.items():
        patch.setattr(torch.cuda, name, lambda *_, value=value: value)
    for name, value in {
        "current_stream": lambda device=None: STATE.current,
        "mem_get_info": lambda device=None: (memory.total - memory.held, memory.total),
        "memory_allocated": lambda device=None: memory.held,
        "memory_reserved": lambda device=None: memory.held,
        "max_memory_allocated": lambda device=None: memory.peak,
        "reset_peak_memory_stats": lambda device=None: _forget_peak(memory),
        "set_per_process_memory_fraction": lambda share, index: _limit(memory, share),
        "stream": _inside,
        "Stream": Stream,
        "Event": Event,
        "CUDAGraph": Graph,
        "graph": _capturing,
    }.items():
        patch.setattr(torch.cuda, name, value)
    patch.setattr(torch.accelerator, "synchronize", lambda *_: None)


def _forget_peak(memory: Memory) -> None:
    memory.peak = memory.held


def _limit(memory: Memory, share: float) -> None:
    memory.limit = int(share * memory.total)


@contextmanager
def _inside(stream: Stream) -> Iterator[None]:
    before, STATE.current = STATE.current, stream
    try:
        yield
    finally:
        STATE.current = before


@contextmanager
def _capturing(graph: Graph, pool: object = None) -> Iterator[None]:
    STATE.graph = graph
    try:
        yield
    finally:
        STATE.graph = None


def _patch_threads(patch: pytest.MonkeyPatch) -> None:
    run = threading.Thread.run

    def run_on_card(thread: threading.Thread) -> None:
        with CardMode():
            run(thread)

    patch.setattr(threading.Thread, "run", run_on_card)
