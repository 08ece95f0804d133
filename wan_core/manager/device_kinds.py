"""What each kind of device can do, in one table. No torch: the web process reads it, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wan_core.catalog import Role
from wan_core.schema.attention import AttentionName
from wan_core.schema.schemes import SCHEMES, DeviceFacts

Plain = Literal["fp32", "bf16", "fp16"]
"""The precisions that a device computes in; every other is a way of keeping weights."""

PLAIN_BYTES: dict[str, int] = {"fp32": 4, "bf16": 2, "fp16": 2}


@dataclass(frozen=True)
class DeviceKind:
    """One kind of device.

    Attributes:
        title: what a person calls it.
        precisions: what the transformer may be computed in, the default first.
        attention: attention kernels that may work there, the default first; each is still to be tried.
        streams: whether copies run beside the computing, so that blocks of weights can come and go.
        own_memory: whether its memory is not the machine's.
        copy_rate: bytes in a second from pinned RAM to the device, of an ordinary machine.
        limits: what is slow or not done there; empty for the reference.
    """

    title: str
    precisions: tuple[Plain, ...]
    attention: tuple[AttentionName, ...]
    streams: bool
    own_memory: bool
    copy_rate: float
    limits: str = ""


KINDS: dict[str, DeviceKind] = {
    "cuda": DeviceKind(
        "NVIDIA CUDA",
        precisions=("bf16", "fp16", "fp32"),
        attention=(
            *(
                "auto",
                "flash",
                "efficient",
                "cudnn",
                "math",
                "flash_2",
                "flash_3",
                "sage",
                "sage_3",
                "xformers",
            ),
            *("radial", "sliding_tile"),
        ),
        streams=True,
        own_memory=True,
        copy_rate=12e9,
    ),
    "rocm": DeviceKind(
        "AMD ROCm",
        precisions=("bf16", "fp16", "fp32"),
        attention=("auto", "flash", "efficient", "math", "flash_2"),
        streams=True,
        own_memory=True,
        copy_rate=12e9,
        limits="fp8 weights are unpacked for each use; the first run of a size is slow while it is tuned",
    ),
    "mps": DeviceKind(
        "Apple MPS",
        precisions=("bf16", "fp16", "fp32"),
        attention=("auto", "math"),
        streams=False,
        own_memory=False,
        copy_rate=50e9,
        limits="there is no fp8 and nothing to stream, as the memory is the machine's own; the VAE is slow",
    ),
    "cpu": DeviceKind(
        "CPU",
        precisions=("fp32", "bf16"),
        attention=("auto", "math", "rows"),
        streams=False,
        own_memory=False,
        copy_rate=10e9,
        limits="everything is slow: it is for the demo model and for trying things out",
    ),
}


def compute_precision(facts: DeviceFacts, precision: str = "auto") -> Plain:
    """What the transformer is computed in.

    A plain ``precision`` is that; for a way of keeping weights and for "auto" it is the first of the kind
    that the device supports: bf16 where it is fast, fp16 on older cards, fp32 on a CPU.
    """
    if precision in PLAIN_BYTES:
        return precision
    return next(name for name in KINDS[facts.kind].precisions if SCHEMES[name].unsupported(facts) is None)


# The VAE and the small motion controller are float32 everywhere (spec 3). umT5 overflows in float16, hence
# bfloat16 beside it. The image encoder is float16, as the official code runs it (spec 5).
_BESIDE_16_BITS: dict[Role, Plain] = {
    Role.TEXT_ENCODER: "bf16",
    Role.VAE: "fp32",
    Role.IMAGE_ENCODER: "fp16",
    Role.MOTION_CONTROLLER: "fp32",
}


def part_precision(facts: DeviceFacts, precision: str, role: Role) -> Plain | None:
    """What a part is computed in, or None for what its file holds.

    On a CPU "auto" casts no text encoder: its file is 11 GB of bfloat16, which can stay mapped.
    """
    plain = compute_precision(facts, precision)
    if role is Role.TEXT_ENCODER and precision == "auto" and facts.kind == "cpu":
        return None
    return plain if plain == "fp32" or role is Role.TRANSFORMER else _BESIDE_16_BITS[role]
