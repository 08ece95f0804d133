"""Which device and precision a job runs in, and how much memory there is."""

from __future__ import annotations

import ctypes
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import torch

from wan_core.catalog import Role
from wan_core.manager.device_kinds import part_precision
from wan_core.manager.planner import Budget
from wan_core.schema import InvalidRequest
from wan_core.schema.schemes import SCHEMES, DeviceFacts
from wan_core.schema.settings import Precision, Settings

_AVAILABLE: dict[str, Callable[[], bool]] = {  # in the order in which "auto" chooses
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
    "cpu": lambda: True,
}

_DTYPES: dict[str, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}

_RAM_SHARE = 0.9
"""Of the machine's memory, the most that a job may count on."""


def choose_device(name: str) -> torch.device:
    """``"auto"`` is the best device there is; ``cuda``, ``cuda:1``, ``mps`` or ``cpu`` that one.

    CUDA is started, and computes float32 in full: by default cuDNN would round the VAE's convolutions to
    TF32 (10 bits of mantissa) on Ampere and later.

    Raises:
        InvalidRequest: the device is unknown or not in this machine.
    """
    present = [kind for kind, available in _AVAILABLE.items() if available()]
    kind, colon, index = (present[0] if name == "auto" else name).partition(":")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if kind not in present or (colon and not (index.isdecimal() and int(index) < count)):
        raise InvalidRequest("device", f"{name!r} is not in this machine", f"Use {' or '.join(present)}.")
    if kind == "cuda":
        torch.cuda.init()  # the counters of its memory need it
        _compute_float32_in_full()
    return torch.device(kind, int(index)) if colon else torch.device(kind)


def device_facts(device: torch.device) -> DeviceFacts:
    """What decides the precisions that a device can do."""
    if device.type != "cuda":
        return DeviceFacts(device.type, name=device.type.upper())
    name = torch.cuda.get_device_name(device)
    if torch.version.hip:
        return DeviceFacts("rocm", name=name)
    return DeviceFacts("cuda", torch.cuda.get_device_capability(device), name)


def _compute_float32_in_full() -> None:
    """No TF32 anywhere; process-wide."""
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.conv.fp32_precision = "ieee"


def choose_dtypes(facts: DeviceFacts, precision: Precision) -> dict[Role, torch.dtype | None]:
    """The dtype of each part's weights; None is that of its file.

    A precision in which weights are merely kept computes like ``"auto"``.
    """
    names = {role: part_precision(facts, precision, role) for role in Role}
    return {role: name and _DTYPES[name] for role, name in names.items()}


def choose_schemes(settings: Settings) -> dict[Role, str]:
    """How the large matrices of parts are to be kept, an id of ``SCHEMES``; others are as in their file."""
    chosen = {Role.TRANSFORMER: settings.precision, Role.TEXT_ENCODER: settings.text_encoder}
    return {role: name for role, name in chosen.items() if name in SCHEMES}


def total_memory(device: torch.device) -> int:
    """Bytes of memory that the device has."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    if device.type == "mps":
        return torch.mps.recommended_max_memory()
    return psutil.virtual_memory().total


def memory_in_use(device: torch.device) -> int:
    """Bytes that this process holds: on the device, or its resident memory for a CPU."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.current_allocated_memory()
    return psutil.Process().memory_info().rss


def measure_budget(device: torch.device, folder: Path) -> Budget:
    """What the machine has for a job now; what this process holds counts as free.

    Args:
        device: where the job runs.
        folder: where it writes.
    """
    memory, own = psutil.virtual_memory(), psutil.Process().memory_info()
    held = own.rss - getattr(own, "shared", 0)  # pages of files are not held: they can be dropped
    ram = min(memory.available + held, int(memory.total * _RAM_SHARE))
    free = total = 0
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        free += torch.cuda.memory_reserved(device)
    elif device.type == "mps":
        free = total = total_memory(device)
    return Budget(device_facts(device), total, free, ram, _free_disk(folder))


def _free_disk(folder: Path) -> int:
    """Of the disk that the folder is on, or will be."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), Path.cwd())
    return shutil.disk_usage(there).free


def limit_memory(device: torch.device, limit_gib: float | None) -> None:
    """Have the allocator refuse what goes beyond a limit, process-wide; None is all there is."""
    if device.type == "cuda":
        share = 1.0 if limit_gib is None else limit_gib * 2**30 / total_memory(device)
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.set_per_process_memory_fraction(min(share, 1.0), index)


def release_cached(device: torch.device) -> None:
    """Give memory that no tensor uses back to the system."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def release_host() -> None:
    """Give freed RAM back to the system; the C library keeps what lies between pieces that are in use."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL("libc.so.6").malloc_trim(0)


class PeakMemory:
    """The largest memory in use between its creation and now.

    Exact on CUDA; elsewhere the largest of the samples.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._largest = 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self.sample()

    def sample(self) -> int:
        """The largest since the last look; exact on CUDA, elsewhere what is in use now."""
        seen = memory_in_use(self._device)
        if self._device.type == "cuda":
            seen = torch.cuda.max_memory_allocated(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)
        self._largest = max(self._largest, seen)
        return seen

    @property
    def bytes(self) -> int:
        self.sample()
        return self._largest
