"""The header of a safetensors file: a length, then JSON."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path

from wan_core.manager.headers import entry
from wan_core.manager.headers.entry import AGAIN, MAX_DIMENSIONS, MAX_TENSORS, Header, TensorEntry
from wan_core.schema import WeightsError

# Element types of a safetensors file -> bytes per element
_ITEM_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip

_MARK = ".comfy_quant"
_MAX_MARK_BYTES = 2**12
_READ_FORMATS = ("float8_e4m3fn", "float8_e5m2", "int8_tensorwise")


class _UnreadType(Exception):
    """A tensor is of a type that a sound file may have, but that is not read here."""


def read_safetensors_header(path: Path) -> Header:
    """The header of a safetensors file, after checking that it and the file agree to the byte.

    Raises:
        WeightsError: the file is cut short, or its header lies.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
        if length > entry.MAX_HEADER_BYTES:
            raise WeightsError(f"{path} has a header of {length} bytes, which no Wan model has; {AGAIN}.")
        raw = file.read(length)
    if len(raw) < length:
        raise WeightsError(f"{path} is cut short within its header; {AGAIN}.")
    try:
        listed = json.loads(raw)
        metadata = listed.pop("__metadata__", None)
        if len(listed) > MAX_TENSORS:
            raise ValueError(f"it lists {len(listed)} tensors, more than any Wan model has")
        tensors = {name: _entry(name, content, 8 + length) for name, content in listed.items()}
    except _UnreadType as error:
        raise WeightsError(
            f"{path} {error}, which the studio does not read; use a file in fp8, GGUF or bf16."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path} has a damaged header ({error}); {AGAIN}.") from error
    end = 8 + length
    for name, line in sorted(tensors.items(), key=lambda item: (item[1].offset, item[1].nbytes)):
        if line.offset != end:
            raise WeightsError(f"{path} has a damaged header ({name} does not follow on); {AGAIN}.")
        end += line.nbytes
    if size < end:
        raise WeightsError(
            f"{path} is cut short: {size - 8 - length} of {end - 8 - length} bytes of weights are there; "
            f"{AGAIN}."
        )
    if size > end:
        raise WeightsError(f"{path} has {size - end} bytes more than its header lists; {AGAIN}.")
    _check_marks(path, tensors)
    texts = metadata if isinstance(metadata, dict) else {}
    return Header("safetensors", tensors, {k: v for k, v in texts.items() if isinstance(v, str)})


def _check_marks(path: Path, tensors: Mapping[str, TensorEntry]) -> None:
    """Refuse weights that ComfyUI's marks say are kept in a way that is not read here.

    Their dtypes do not always tell: what was rotated before it was rounded to int8 looks like plain int8.
    """
    marks = {name: line for name, line in tensors.items() if name.endswith(_MARK)}
    with path.open("rb") as file:
        for name, line in marks.items():
            file.seek(line.offset)
            raw = file.read(min(line.nbytes, _MAX_MARK_BYTES))
            try:
                told = json.loads(raw)
                kept = "rotated int8" if told.get("convrot") else told["format"]
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                kept = "an unknown format"
            if kept not in _READ_FORMATS:
                raise WeightsError(
                    f"{path} keeps {name.removesuffix(_MARK)[:60]} as {str(kept)[:40]}, which the studio "
                    "does not read; use a file in fp8, GGUF or bf16."
                )


def _entry(name: str, content: dict, data: int) -> TensorEntry:
    """A tensor's line of a header whose weights begin at the byte ``data``, checked against itself.

    Raises:
        ValueError, KeyError, TypeError: the line is wrong.
        _UnreadType: it is right, but of no use here.
    """
    dtype, shape = content["dtype"], content["shape"]
    if dtype not in _ITEM_BYTES:
        raise _UnreadType(f"keeps {name[:60]} as {str(dtype)[:20]}")
    first, last = content["data_offsets"]
    numbers = [first, last, *shape]
    if len(shape) > MAX_DIMENSIONS or any(type(n) is not int or not 0 <= n < 2**48 for n in numbers):
        raise ValueError(f"{name} has an impossible shape or place")
    if last - first != math.prod(shape) * _ITEM_BYTES[dtype]:
        raise ValueError(f"{name} has a size that differs from its shape's")
    return TensorEntry(dtype, tuple(shape), last - first, data + first)
