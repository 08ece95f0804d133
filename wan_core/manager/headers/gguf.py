"""The header of a GGUF file: names, types and places of its tensors.

Layout (version 2 and 3, little endian): magic, version, number of tensors, number of key-value pairs, the
pairs, the tensors' lines, then the data at the next multiple of ``general.alignment``.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import BinaryIO

from wan_core.manager.headers.entry import AGAIN, MAX_DIMENSIONS, MAX_TENSORS, Header, Shape, TensorEntry
from wan_core.schema import WeightsError

GGUF_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 30: ("BF16", 1, 2), 28: ("F64", 1, 8),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8),
    2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    29: ("IQ1_M", 256, 56), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
}  # fmt: skip
"""ggml's number of a type -> its name, weights per block, bytes per block."""

_ORIGINAL_SHAPE = "comfy.gguf.orig_shape."
_MAX_NAME = 1024
_MAX_PAIRS = 10_000
_MAX_HEADER_BYTES = 64 * 2**20  # a text encoder's file lists its whole vocabulary
_MAX_TEXTS = 2**19  # in lists; twice umT5's vocabulary, and half a second's work
_STRING, _ARRAY = 8, 9
_NUMBERS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip

Value = str | int | float | bool | list | None


def read_gguf_header(path: Path) -> Header:
    """Names, shapes and places of a GGUF file's tensors; ``metadata`` holds the values that are texts.

    A shape is the logical one, outermost first: where the packer had to flatten a tensor, the one that it
    noted down.

    Raises:
        WeightsError: the file is cut short, or its header lies.
    """
    try:
        with path.open("rb") as file:
            return _read(_Reader(file), path.stat().st_size)
    except (ValueError, struct.error, UnicodeDecodeError, RecursionError) as error:
        raise WeightsError(f"{path} has a damaged header ({error}); {AGAIN}.") from error


class _Reader:
    """Reads numbers and texts one after the other, never past the limit."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._texts = 0
        self.place = 0

    def raw(self, length: int) -> bytes:
        self.place += length
        if self.place > _MAX_HEADER_BYTES:
            raise ValueError("it is longer than any Wan model's")
        data = self._file.read(length)
        if len(data) < length:
            raise ValueError("it is cut short")
        return data

    def number(self, layout: str) -> int | float | bool:
        return struct.unpack(layout, self.raw(struct.calcsize(layout)))[0]

    def text(self) -> str:
        return self.raw(self.number("<Q")).decode("utf-8", "replace")

    def value(self, kind: int) -> Value:
        """A value of a pair; of a list only short ones of numbers are kept."""
        if kind == _STRING:
            return self.text()
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind])
        if kind != _ARRAY:
            raise ValueError(f"{kind} is no type of a value")
        inner, count = self.number("<I"), self.number("<Q")
        if inner in _NUMBERS:
            raw = self.raw(count * struct.calcsize(_NUMBERS[inner]))
            short = count <= MAX_DIMENSIONS
            return [value for (value,) in struct.iter_unpack(_NUMBERS[inner], raw)] if short else None
        self._texts += count
        if inner != _STRING or self._texts > _MAX_TEXTS:
            raise ValueError("it has a list of lists, or more texts than any Wan model")
        for _ in range(count):
            self.raw(self.number("<Q"))
        return None


def _read(reader: _Reader, size: int) -> Header:
    magic, version, count, pairs = struct.unpack("<4sIQQ", reader.raw(24))
    if magic != b"GGUF" or version not in (2, 3):
        raise ValueError(f"version {version} is none that the studio reads")
    if count > MAX_TENSORS or pairs > _MAX_PAIRS:
        raise ValueError(f"it lists {count} tensors and {pairs} values, more than any Wan model has")
    told = {reader.text()[:_MAX_NAME]: reader.value(reader.number("<I")) for _ in range(pairs)}
    lines = [_line(reader) for _ in range(count)]
    alignment = told.get("general.alignment", 32)
    if type(alignment) is not int or not 1 <= alignment <= 2**16:
        raise ValueError(f"its alignment is {alignment}")
    data = -(-reader.place // alignment) * alignment
    tensors = {}
    for name, stored, kind, offset in lines:
        word, block, block_bytes = GGUF_TYPES[kind]
        elements = math.prod(stored)
        entry = TensorEntry(
            word,
            _logical(stored, told.get(_ORIGINAL_SHAPE + name)),
            elements // block * block_bytes,
            data + offset,
        )
        if name in tensors or elements % block or (stored and stored[-1] % block):
            raise ValueError(f"{name} is there twice, or its rows are no whole blocks")
        if entry.offset + entry.nbytes > size:
            raise ValueError(f"it is cut short: {name} ends at byte {entry.offset + entry.nbytes} of {size}")
        tensors[name] = entry
    return Header("gguf", tensors, {name: value for name, value in told.items() if isinstance(value, str)})


def _line(reader: _Reader) -> tuple[str, Shape, int, int]:
    """Name, shape as stored, number of the type, place after the header."""
    name = reader.text()
    dimensions = reader.number("<I")
    if len(name) > _MAX_NAME or dimensions > MAX_DIMENSIONS:
        raise ValueError(f"{name[:60]} has an impossible shape")
    shape = tuple(reversed([reader.number("<Q") for _ in range(dimensions)]))
    kind, offset = reader.number("<I"), reader.number("<Q")
    if kind not in GGUF_TYPES:
        raise ValueError(f"{name[:60]} is of type {kind}, which the studio does not know")
    if max((*shape, offset)) >= 2**48:
        raise ValueError(f"{name[:60]} has an impossible shape or place")
    return name, shape, kind, offset


def _logical(stored: Shape, noted: Value) -> Shape:
    """The noted shape if it has as many elements, else the stored one."""
    if not isinstance(noted, list) or not all(type(n) is int and n > 0 for n in noted):
        return stored
    return tuple(noted) if math.prod(noted) == math.prod(stored) else stored
