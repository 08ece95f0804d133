"""Measuring runs against each other on a machine that others use, too."""

from __future__ import annotations

import ctypes
import gc
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

Run = Callable[[], object]

_OWN = Path("/proc/self")


@dataclass(frozen=True)
class Timing:
    """Medians in seconds; ``cpu`` counts only what this process computed, whatever else ran meanwhile."""

    cpu: float
    wall: float


def first_run(run: Run, device: torch.device) -> object:
    """What comes of a run, which makes whatever is made once; it is not timed."""
    with torch.inference_mode():
        made = run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return made


def alternate(runs: Mapping[str, Run], rounds: int, device: torch.device) -> dict[str, Timing]:
    """Time several runs of the same work, one after the other in turns; each has run once before.

    Args:
        runs: name -> what is timed.
        rounds: how often each is.
        device: waited for before the clock stops.
    """
    taken: dict[str, list[Timing]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            taken[name].append(_timed(run, device))
    return {name: _median(timings) for name, timings in taken.items()}


def _timed(run: Run, device: torch.device) -> Timing:
    wall, cpu = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return Timing(time.process_time() - cpu, time.perf_counter() - wall)


def _median(timings: list[Timing]) -> Timing:
    return Timing(statistics.median(t.cpu for t in timings), statistics.median(t.wall for t in timings))


def peak_bytes(run: Run, device: torch.device) -> int | None:
    """Memory that a run takes beside what was held before it; None where the system does not tell."""
    gc.collect()
    if device.type == "cuda":
        held = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        _timed(run, device)
        return torch.cuda.max_memory_allocated(device) - held
    if not sys.platform.startswith("linux"):
        return None
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # freed memory is no longer counted as held
    held = _status("VmRSS")
    (_OWN / "clear_refs").write_text("5", encoding="ascii")  # the highest so far begins again
    _timed(run, device)
    return max(_status("VmHWM") - held, 0)


def _status(name: str) -> int:
    """A figure of the kernel about this process, in bytes."""
    lines = (_OWN / "status").read_text(encoding="utf-8").splitlines()
    found = next(line for line in lines if line.startswith(f"{name}:"))
    return int(found.split()[1]) * 1024


def matrix_rate(device: torch.device, dtype: torch.dtype, size: int = 1536) -> float:
    """FLOP/s of a large product of matrices, the best of five: what is reachable on this device."""
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    cpu = device.type != "cuda"
    taken = [_timed(lambda: left @ right, device) for _ in range(6)][1:]
    return 2 * size**3 / min(timing.cpu if cpu else timing.wall for timing in taken)
