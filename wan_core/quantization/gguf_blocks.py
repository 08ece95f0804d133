"""Unpacks the block formats of ggml: each row of bytes is a block, and becomes a row of float32.

The layouts are those of ggml's ``ggml-common.h``; multi-byte numbers are little-endian. Operations are in the
order of the reference decoder, so that the results are equal to the bit.
"""

# n blocks

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Unpack = Callable[[Tensor], Tensor]
"""(n, bytes of a block), uint8 -> (n, weights of a block), float32."""

_IQ4_VALUES = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)


def unpack_q4_0(blocks: Tensor) -> Tensor:
    scale, codes = _half(blocks, 0), _nibbles(blocks[:, 2:18])
    return scale * (codes.float() - 8)


def unpack_q4_1(blocks: Tensor) -> Tensor:
    scale, least, codes = _half(blocks, 0), _half(blocks, 2), _nibbles(blocks[:, 4:20])
    return scale * codes.float() + least


def unpack_q5_0(blocks: Tensor) -> Tensor:
    codes = _nibbles(blocks[:, 6:22]) | _bits_of_bytes(blocks[:, 2:6]) << 4
    return _half(blocks, 0) * (codes.float() - 16)


def unpack_q5_1(blocks: Tensor) -> Tensor:
    codes = _nibbles(blocks[:, 8:24]) | _bits_of_bytes(blocks[:, 4:8]) << 4
    return _half(blocks, 0) * codes.float() + _half(blocks, 2)


def unpack_q8_0(blocks: Tensor) -> Tensor:
    return _half(blocks, 0) * _signed(blocks[:, 2:34]).float()


def unpack_q2_k(blocks: Tensor) -> Tensor:
    packed = blocks[:, :16]  # of each 16 weights: scale, and what is subtracted
    scale = _half(blocks, 80) * (packed & 15).float()
    less = _half(blocks, 82) * (packed >> 4).float()
    codes = _planes(blocks[:, 16:80], 32, (0, 2, 4, 6)) & 3
    return _scaled(codes.float(), scale, less)


def unpack_q3_k(blocks: Tensor) -> Tensor:
    low = _planes(blocks[:, 32:96], 32, (0, 2, 4, 6)) & 3
    high = _planes(blocks[:, :32], 32, range(8)) & 1
    codes = low.float() - 4 * (1 - high.float())
    packed = blocks[:, 96:108]
    scale_low = _planes(packed[:, :8], 8, (0, 4)) & 15
    scale_high = _planes(packed[:, 8:], 4, (0, 2, 4, 6)) & 3
    scale = (scale_low | scale_high << 4).float() - 32
    return _scaled(codes, _half(blocks, 108) * scale)


def unpack_q4_k(blocks: Tensor) -> Tensor:
    scale, less = _six_bit_pairs(blocks)
    codes = _planes(blocks[:, 16:144], 32, (0, 4)) & 15
    return _scaled(codes.float(), scale, less)


def unpack_q5_k(blocks: Tensor) -> Tensor:
    scale, less = _six_bit_pairs(blocks)
    low = _planes(blocks[:, 48:176], 32, (0, 4)) & 15
    high = _planes(blocks[:, 16:48], 32, range(8)) & 1
    return _scaled((low | high << 4).float(), scale, less)


def unpack_q6_k(blocks: Tensor) -> Tensor:
    low = _planes(blocks[:, :128], 64, (0, 4)) & 15
    high = _planes(blocks[:, 128:192], 32, (0, 2, 4, 6)) & 3
    codes = (low | high << 4).float() - 32
    return _scaled(codes, _half(blocks, 208) * _signed(blocks[:, 192:208]).float())


def unpack_iq4_nl(blocks: Tensor) -> Tensor:
    return _half(blocks, 0) * _iq4_values(_nibbles(blocks[:, 2:18]))


def unpack_iq4_xs(blocks: Tensor) -> Tensor:
    high = _planes(blocks[:, 2:4], 1, (0, 2, 4, 6)) & 3
    low = _interleaved(blocks[:, 4:8])
    scale = _half(blocks, 0) * ((low | high << 4).float() - 32)
    codes = _nibbles(blocks[:, 8:136].reshape(-1, 16)).reshape(len(blocks), 256)
    return _scaled(_iq4_values(codes), scale)


UNPACK_BLOCKS: dict[str, Unpack] = {
    "Q8_0": unpack_q8_0,
    "Q6_K": unpack_q6_k,
    "Q5_K": unpack_q5_k,
    "Q5_1": unpack_q5_1,
    "Q5_0": unpack_q5_0,
    "Q4_K": unpack_q4_k,
    "Q4_1": unpack_q4_1,
    "Q4_0": unpack_q4_0,
    "Q3_K": unpack_q3_k,
    "Q2_K": unpack_q2_k,
    "IQ4_NL": unpack_iq4_nl,
    "IQ4_XS": unpack_iq4_xs,
}
"""ggml's name of a type -> what unpacks its blocks."""


def _half(blocks: Tensor, start: int) -> Tensor:
    """The float16 at byte ``start`` of each block: (n, 1), float32."""
    return blocks[:, start : start + 2].contiguous().view(torch.float16).float()


def _signed(bytes_: Tensor) -> Tensor:
    return bytes_.contiguous().view(torch.int8)


def _nibbles(bytes_: Tensor) -> Tensor:
    """(n, m) -> (n, 2 m): all low halves, then all high ones."""
    return torch.cat([bytes_ & 15, bytes_ >> 4], dim=1)


def _interleaved(bytes_: Tensor) -> Tensor:
    """(n, m) -> (n, 2 m): low half and high half of each byte, in turn."""
    return torch.stack([bytes_ & 15, bytes_ >> 4], dim=2).flatten(1)


def _bits_of_bytes(bytes_: Tensor) -> Tensor:
    """(n, m) -> (n, 8 m): the bits, lowest first."""
    places = torch.arange(8, dtype=torch.uint8, device=bytes_.device)
    return (bytes_[:, :, None] >> places & 1).flatten(1)


def _planes(bytes_: Tensor, width: int, shifts: Sequence[int]) -> Tensor:
    """(n, m) -> (n, m * len(shifts)): each group of ``width`` bytes once per shift, shifted down by it."""
    places = torch.tensor(list(shifts), dtype=torch.uint8, device=bytes_.device)
    groups = bytes_.reshape(len(bytes_), -1, 1, width)
    return (groups >> places[:, None]).flatten(1)


def _scaled(codes: Tensor, scale: Tensor, less: Tensor | None = None) -> Tensor:
    """(n, 256) codes times (n, groups) scales, less (n, groups) offsets."""
    groups = codes.unflatten(1, (scale.shape[1], -1)) * scale[:, :, None]
    return (groups if less is None else groups - less[:, :, None]).flatten(1)


def _six_bit_pairs(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and offset of each 32 weights of a Q4_K or Q5_K block: twice (n, 8), float32.

    Twelve bytes hold the sixteen numbers: the first four of each as they are, the others' low halves in the
    last four bytes and their highest two bits on top of the first eight.
    """
    first, second, third = blocks[:, 4:16].unflatten(1, (3, 4)).unbind(1)
    scale = torch.cat([first & 63, third & 15 | first >> 6 << 4], dim=1)
    less = torch.cat([second & 63, third >> 4 | second >> 6 << 4], dim=1)
    return _half(blocks, 0) * scale.float(), _half(blocks, 2) * less.float()


def _iq4_values(codes: Tensor) -> Tensor:
    table = torch.tensor(_IQ4_VALUES, dtype=torch.float32, device=codes.device)
    return table[codes.int()]
