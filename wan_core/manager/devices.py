"""Which device and precision a job runs in, and how much memory there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psutil
import torch

from wan_core.catalog import Role
from wan_core.schema import InvalidRequest
from wan_core.schema.schemes import SCHEMES, DeviceFacts
from wan_core.schema.settings import Precision, Settings

_AVAILABLE: dict[str, Callable[[], bool]] = {  # in the order in which "auto" chooses
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
    "cpu": lambda: True,
}

# The VAE and the small motion controller are float32 everywhere (spec 3). umT5 overflows in float16, hence
# bfloat16 beside it. The image encoder is float16, as the official code runs it (spec 5).
_DTYPES: dict[Precision, dict[Role, torch.dtype]] = {
    "bf16": {
        Role.TRANSFORMER: torch.bfloat16,
        Role.TEXT_ENCODER: torch.bfloat16,
        Role.VAE: torch.float32,
        Role.IMAGE_ENCODER: torch.float16,
        Role.MOTION_CONTROLLER: torch.float32,
    },
    "fp16": {
        Role.TRANSFORMER: torch.float16,
        Role.TEXT_ENCODER: torch.bfloat16,
        Role.VAE: torch.float32,
        Role.IMAGE_ENCODER: torch.float16,
        Role.MOTION_CONTROLLER: torch.float32,
    },
    "fp32": dict.fromkeys(Role, torch.float32),
}

_CPU_PRECISION: Precision = "fp32"
_MPS_PRECISION: Precision = "bf16"


@dataclass(frozen=True)
class Budget:
    """Bytes that weights may take.

    Args:
        host: all parts together, in the machine's memory.
        device: all parts together, on the accelerator; the rest is left for the work itself.
        largest: one part alone on the accelerator, when nothing else is there.
    """

    host: int
    device: int
    largest: int


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


def choose_precision(device: torch.device, precision: Precision) -> Precision:
    """The computing dtype: bf16 where it is fast, fp16 on older GPUs, fp32 on a CPU, or the one asked for.

    A precision in which weights are merely kept computes like ``"auto"``.
    """
    if precision in _DTYPES:
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    return _MPS_PRECISION if device.type == "mps" else _CPU_PRECISION


def choose_dtypes(device: torch.device, precision: Precision) -> dict[Role, torch.dtype | None]:
    """The dtype of each part's weights; None is that of its file."""
    dtypes: dict[Role, torch.dtype | None] = dict(_DTYPES[choose_precision(device, precision)])
    if precision == "auto" and device.type == "cpu":
        dtypes[Role.TEXT_ENCODER] = None  # the official file is bfloat16: 11 GB mapped, not 23 GB copied
    return dtypes


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


def plan_budget(device: torch.device) -> Budget:
    """What weights may take on this machine: a quarter of the accelerator is left for the work.

    Memory that other programs hold on the accelerator is not counted as available.
    """
    host = psutil.virtual_memory().total * 4 // 5
    if device.type != "cuda":
        total = total_memory(device)
        return Budget(host, total * 3 // 4, total * 9 // 10)
    free, total = torch.cuda.mem_get_info(device)
    usable = free + torch.cuda.memory_reserved(device)
    return Budget(host, usable - total // 4, usable - total // 16)


def release_cached(device: torch.device) -> None:
    """Give memory that no tensor uses back to the system."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


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
