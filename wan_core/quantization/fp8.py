"""Weights in 8-bit floating point, with or without a scale per row.

They are kept as bytes: a module's ``.to(dtype)`` leaves them alone, and a device without fp8 can hold them.
"""

from __future__ import annotations

import torch
from torch import Tensor

FORMATS: dict[str, torch.dtype] = {
    "fp8_e4m3": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
    "fp8_scaled": torch.float8_e4m3fn,
}

_DEVICES_WITHOUT_FP8 = ("mps",)


def pack_fp8(weight: Tensor, scheme: str) -> tuple[Tensor, Tensor | None]:
    """(rows, columns) -> bytes of the same shape, and for ``fp8_scaled`` scales (rows, 1), float32.

    Without scales, numbers beyond the format's largest become it, and those below its smallest become zero.
    """
    largest = torch.finfo(FORMATS[scheme]).max
    weight, scale = weight.float(), None
    if scheme == "fp8_scaled":
        reach = weight.abs().amax(dim=1, keepdim=True)
        scale = torch.where(reach > 0, reach / largest, 1.0)
        weight = weight / scale
    return weight.clamp(-largest, largest).to(FORMATS[scheme]).view(torch.uint8), scale


def unpack_fp8(packed: Tensor, scale: Tensor | None, dtype: torch.dtype, format_: torch.dtype) -> Tensor:
    """Bytes -> numbers of ``dtype``, times ``scale``; rounded once, as every fp8 number fits 16 bits."""
    if packed.device.type in _DEVICES_WITHOUT_FP8:
        weight = decode_by_bits(packed, format_).to(dtype)
    else:
        weight = packed.view(format_).to(dtype)
    return weight if scale is None else weight.mul_(scale)


def decode_by_bits(packed: Tensor, format_: torch.dtype) -> Tensor:
    """Bytes -> float16 with integer operations alone; finite numbers only.

    e5m2 is the upper half of a float16. e4m3 has its exponent three bits lower and eight smaller, which the
    shift and the factor 2^8 make up for, in subnormal numbers as well.
    """
    wide = packed.to(torch.int16)
    if format_ == torch.float8_e5m2:
        return (wide << 8).view(torch.float16)
    return ((wide & 0x80) << 8 | (wide & 0x7F) << 7).view(torch.float16) * 256
