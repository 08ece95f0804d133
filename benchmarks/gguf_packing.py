"""Packs weights into GGUF blocks by rounding to the nearest: for measuring, not for publishing files.

llama.cpp searches for scales that make the error smaller, so that files from it are a little better.
"""

# n blocks

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wan_core.quantization.gguf_blocks import UNPACK_BLOCKS
from wan_core.quantization.stored import StoredTensor
from wan_core.schema.schemes import GGUF_SCHEMES

_IQ4_VALUES = torch.tensor([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113.0])


def pack(weight: Tensor, type_name: str) -> StoredTensor:
    """(rows, columns), columns of whole blocks -> the same in blocks of a GGUF type."""
    scheme = GGUF_SCHEMES[type_name]
    blocks = _PACK[type_name](weight.float().reshape(-1, scheme.block))
    assert UNPACK_BLOCKS[type_name](blocks).shape == (len(blocks), scheme.block)
    return StoredTensor(scheme.id, blocks.reshape(len(weight), -1), None, tuple(weight.shape))


def _half(values: Tensor) -> tuple[Tensor, Tensor]:
    """(n, 1) -> bytes (n, 2) of the float16, and its value."""
    half = values.half()
    return half.view(torch.uint8), half.float()


def _codes(weight: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
    safe = torch.where(scale == 0, 1.0, scale)
    return (weight / safe).round().clamp(low, high).to(torch.int16)


def _planes(codes: Tensor, width: int, shifts: Sequence[int]) -> Tensor:
    """(n, m) small codes -> (n, m / len(shifts)) bytes, each of several codes shifted up and joined."""
    parts = codes.to(torch.uint8).reshape(len(codes), -1, len(shifts), width)
    return sum(parts[:, :, place] << shift for place, shift in enumerate(shifts)).flatten(1)


def _nibbles(codes: Tensor) -> Tensor:
    return _planes(codes, codes.shape[1] // 2, (0, 4))


def _signed_32(bits: int) -> Callable[[Tensor], Tensor]:
    """Q4_0, Q5_0, Q8_0: one scale."""

    def packer(weight: Tensor) -> Tensor:
        half = 2 ** (bits - 1)
        reach = weight.gather(1, weight.abs().argmax(1, keepdim=True))
        raw, scale = _half(reach / -half if bits < 8 else reach.abs() / 127)
        codes = _codes(weight, scale, -half, half - 1)
        if bits == 8:
            return torch.cat([raw, codes.to(torch.int8).view(torch.uint8)], 1)
        return torch.cat([raw, _low_and_fifth(codes + half, bits)], 1)

    return packer


def _offset_32(bits: int) -> Callable[[Tensor], Tensor]:
    """Q4_1, Q5_1: a scale and the least value."""

    def packer(weight: Tensor) -> Tensor:
        low, high = weight.aminmax(dim=1, keepdim=True)
        raw, scale = _half((high - low) / (2**bits - 1))
        raw_low, least = _half(low)
        codes = _codes(weight - least, scale, 0, 2**bits - 1)
        return torch.cat([raw, raw_low, _low_and_fifth(codes, bits)], 1)

    return packer


def _low_and_fifth(codes: Tensor, bits: int) -> Tensor:
    low = _nibbles(codes & 15)
    return low if bits == 4 else torch.cat([_planes(codes >> 4, 1, range(8)), low], 1)


def _grouped(weight: Tensor, size: int) -> Tensor:
    return weight.unflatten(1, (-1, size))


def _signed_groups(weight: Tensor, size: int, half: int, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Bytes of the block's scale; integer scales (n, groups) in -most..most; codes in -half..half-1."""
    groups = _grouped(weight, size)
    reach = groups.gather(2, groups.abs().argmax(2, keepdim=True)).squeeze(2) / -half
    raw, unit = _half(reach.abs().amax(1, keepdim=True) / most)
    scales = _codes(reach, unit, -most, most)
    codes = _codes(groups, (unit * scales)[:, :, None], -half, half - 1)
    return raw, scales, codes.flatten(1)


def _offset_groups(
    weight: Tensor, size: int, levels: int, most: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Bytes of the block's two scales; integer scales and offsets in 0..most; codes in 0..levels."""
    groups = _grouped(weight, size)
    less = -groups.amin(2).clamp(max=0)
    reach = (groups.amax(2) + less) / levels
    raw, unit = _half(reach.amax(1, keepdim=True) / most)
    raw_less, unit_less = _half(less.amax(1, keepdim=True) / most)
    scales, offsets = _codes(reach, unit, 0, most), _codes(less, unit_less, 0, most)
    shifted = groups + (unit_less * offsets)[:, :, None]
    codes = _codes(shifted, (unit * scales)[:, :, None], 0, levels)
    return torch.cat([raw, raw_less], 1), scales, offsets, codes.flatten(1)


def _q2_k(weight: Tensor) -> Tensor:
    raw, scales, offsets, codes = _offset_groups(weight, 16, 3, 15)
    return torch.cat([(scales | offsets << 4).to(torch.uint8), _planes(codes, 32, (0, 2, 4, 6)), raw], 1)


def _q3_k(weight: Tensor) -> Tensor:
    raw, scales, codes = _signed_groups(weight, 16, 4, 31)
    codes, scales = codes + 4, scales + 32
    high = _planes(codes >> 2, 32, range(8))
    packed = torch.cat([_planes(scales & 15, 8, (0, 4)), _planes(scales >> 4, 4, (0, 2, 4, 6))], 1)
    return torch.cat([high, _planes(codes & 3, 32, (0, 2, 4, 6)), packed, raw], 1)


def _six_bit_pairs(scales: Tensor, offsets: Tensor) -> Tensor:
    first = scales[:, :4] | scales[:, 4:] >> 4 << 6
    second = offsets[:, :4] | offsets[:, 4:] >> 4 << 6
    third = scales[:, 4:] & 15 | (offsets[:, 4:] & 15) << 4
    return torch.cat([first, second, third], 1).to(torch.uint8)


def _q4_k(weight: Tensor) -> Tensor:
    raw, scales, offsets, codes = _offset_groups(weight, 32, 15, 63)
    return torch.cat([raw, _six_bit_pairs(scales, offsets), _planes(codes, 32, (0, 4))], 1)


def _q5_k(weight: Tensor) -> Tensor:
    raw, scales, offsets, codes = _offset_groups(weight, 32, 31, 63)
    high, low = _planes(codes >> 4, 32, range(8)), _planes(codes & 15, 32, (0, 4))
    return torch.cat([raw, _six_bit_pairs(scales, offsets), high, low], 1)


def _q6_k(weight: Tensor) -> Tensor:
    raw, scales, codes = _signed_groups(weight, 16, 32, 127)
    codes = codes + 32
    low, high = _planes(codes & 15, 64, (0, 4)), _planes(codes >> 4, 32, (0, 2, 4, 6))
    return torch.cat([low, high, scales.to(torch.int8).view(torch.uint8), raw], 1)


def _nearest_iq4(ratio: Tensor) -> Tensor:
    return (ratio[..., None] - _IQ4_VALUES).abs().argmin(-1)


def _iq4_nl(weight: Tensor) -> Tensor:
    reach = weight.gather(1, weight.abs().argmax(1, keepdim=True))
    raw, scale = _half(reach / -127)
    return torch.cat([raw, _nibbles(_nearest_iq4(weight / torch.where(scale == 0, 1.0, scale)))], 1)


def _iq4_xs(weight: Tensor) -> Tensor:
    groups = _grouped(weight, 32)
    reach = groups.gather(2, groups.abs().argmax(2, keepdim=True)).squeeze(2) / -127
    raw, unit = _half(reach.abs().amax(1, keepdim=True) / 31)
    scales = _codes(reach, unit, -31, 31)
    scale = (unit * scales)[:, :, None]
    codes = _nearest_iq4(groups / torch.where(scale == 0, 1.0, scale))
    scales = scales + 32
    low = (scales[:, ::2] & 15 | (scales[:, 1::2] & 15) << 4).to(torch.uint8)
    halves = _nibbles(codes.reshape(-1, 32)).reshape(len(weight), -1)
    return torch.cat([raw, _planes(scales >> 4, 1, (0, 2, 4, 6)), low, halves], 1)


_PACK: dict[str, Callable[[Tensor], Tensor]] = {
    "Q8_0": _signed_32(8),
    "Q6_K": _q6_k,
    "Q5_K": _q5_k,
    "Q5_1": _offset_32(5),
    "Q5_0": _signed_32(5),
    "Q4_K": _q4_k,
    "Q4_1": _offset_32(4),
    "Q4_0": _signed_32(4),
    "Q3_K": _q3_k,
    "Q2_K": _q2_k,
    "IQ4_NL": _iq4_nl,
    "IQ4_XS": _iq4_xs,
}
