"""Opens one checkpoint file as a dictionary of memory-mapped tensors; trusts nothing that it says.

The only place that opens checkpoints. A pickle's code is never run: ``.pth`` files are read with
``weights_only=True``, and what that refuses is refused.
"""

from __future__ import annotations

import json
import math
import pickle
import struct
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from wan_core.schema import WeightsError

MAX_HEADER_BYTES = 8 * 2**20
"""Limit of a safetensors header, and of a .pth file's pickle: 30 times what the 14B models need."""
MAX_TENSORS = 20_000
MAX_DIMENSIONS = 8

# Element types of a safetensors file that a model can be made of -> bytes per element
_ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_DTYPES = frozenset({torch.float64, torch.float32, torch.float16, torch.bfloat16})

# How a file starts -> what it is
_REFUSED_FORMATS = (
    (b"\x80", "a .pth in the format before PyTorch 1.6, which cannot be memory-mapped"),
    (b"GGUF", "a GGUF file, which the studio does not read"),
)

# What torch's restricted unpickler raises on damaged bytes; it carries out whatever they happen to say
_UNPICKLING_ERRORS = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    EOFError,
    MemoryError,
    struct.error,
)

_AGAIN = "delete it and download the model again"

Shape = tuple[int, ...]


def open_checkpoint(path: Path) -> dict[str, Tensor]:
    """Name -> tensor on the CPU, in the file's dtype, read from the disk only when it is used.

    Raises:
        WeightsError: the file is missing, cut short, no checkpoint, or not to be trusted.
    """
    return _open_safetensors(path) if _is_safetensors(path) else _open_pth(path)


def read_file_shapes(path: Path) -> dict[str, Shape]:
    """Name -> shape of every tensor in a checkpoint file.

    Raises:
        WeightsError: as ``open_checkpoint``.
    """
    if _is_safetensors(path):
        return _read_header(path)
    return {name: tuple(tensor.shape) for name, tensor in _open_pth(path).items()}


def _is_safetensors(path: Path) -> bool:
    """Tells the two formats apart by content.

    Raises:
        WeightsError: it is neither.
    """
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except FileNotFoundError as error:
        raise WeightsError(f"{path} is missing; download the model again.") from error
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    text = start.lstrip().lower()
    if not start:
        raise WeightsError(f"{path} is empty; {_AGAIN}.")
    if start.startswith(b"version https://git-lfs"):
        raise WeightsError(
            f"{path} is a Git LFS pointer, not the weights it stands for; run `git lfs pull` in its folder, "
            f"or {_AGAIN}."
        )
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise WeightsError(f"{path} is a web page that was saved instead of the weights; {_AGAIN}.")
    if start.startswith(b"PK\x03\x04"):
        if path.suffix.lower() == ".safetensors":  # torch.load goes by the name
            raise WeightsError(f"{path} is a PyTorch checkpoint under a wrong name; use the official file.")
        return False
    if start[8:9] == b"{":
        return True
    for magic, what in _REFUSED_FORMATS:
        if start.startswith(magic):
            raise WeightsError(f"{path} is {what}; use the official file or a .safetensors file.")
    raise WeightsError(f"{path} is neither a safetensors file nor a PyTorch checkpoint; {_AGAIN}.")


def _open_safetensors(path: Path) -> dict[str, Tensor]:
    names = _read_header(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is damaged ({error}); {_AGAIN}.") from error


def _read_header(path: Path) -> dict[str, Shape]:
    """Name -> shape, after checking that header and file agree to the byte."""
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
        if length > MAX_HEADER_BYTES:
            raise WeightsError(f"{path} has a header of {length} bytes, which no Wan model has; {_AGAIN}.")
        raw = file.read(length)
    if len(raw) < length:
        raise WeightsError(f"{path} is cut short within its header; {_AGAIN}.")
    try:
        header = json.loads(raw)
        header.pop("__metadata__", None)
        if len(header) > MAX_TENSORS:
            raise ValueError(f"it lists {len(header)} tensors, more than any Wan model has")
        spans = sorted(_span(name, entry) for name, entry in header.items())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path} has a damaged header ({error}); {_AGAIN}.") from error
    end = 0
    for first, last, name in spans:
        if first != end:
            raise WeightsError(f"{path} has a damaged header ({name} does not follow on); {_AGAIN}.")
        end = last
    found = size - 8 - length
    if found < end:
        raise WeightsError(f"{path} is cut short: {found} of {end} bytes of weights are there; {_AGAIN}.")
    if found > end:
        raise WeightsError(f"{path} has {found - end} bytes more than its header lists; {_AGAIN}.")
    return {name: tuple(entry["shape"]) for name, entry in header.items()}


def _span(name: str, entry: dict) -> tuple[int, int, str]:
    """First and last byte of a tensor, checked against its shape and type.

    Raises:
        ValueError, KeyError, TypeError: the entry is wrong.
    """
    if entry["dtype"] not in _ITEM_BYTES:
        raise ValueError(f"{name} is of type {entry['dtype']}; use fp32, bf16 or fp16 weights")
    first, last = entry["data_offsets"]
    shape = entry["shape"]
    numbers = [first, last, *shape]
    if len(shape) > MAX_DIMENSIONS or any(type(n) is not int or not 0 <= n < 2**48 for n in numbers):
        raise ValueError(f"{name} has an impossible shape or place")
    if last - first != math.prod(shape) * _ITEM_BYTES[entry["dtype"]] or last == first:
        raise ValueError(f"{name} has a size that differs from its shape's")
    return first, last, name


def _open_pth(path: Path) -> dict[str, Tensor]:
    payload = _check_zip(path)
    try:
        state = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors, possibly code that would run, and is not opened; "
            "use the official file or a .safetensors file."
        ) from error
    except _UNPICKLING_ERRORS as error:
        problem = f"{type(error).__name__}: {_first_line(error)}"
        raise WeightsError(f"{path} is damaged ({problem}); {_AGAIN}.") from error
    _check_tensors(path, state, payload)
    return {name: tensor.detach() for name, tensor in state.items()}


def _check_zip(path: Path) -> int:
    """Bytes of tensors in a .pth, which is a zip of uncompressed records, and nothing else."""
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise WeightsError(f"{path} is cut short or damaged ({_first_line(error)}); {_AGAIN}.") from error
    pickles = [record for record in records if record.filename.endswith("/data.pkl")]
    if len(pickles) != 1 or len(records) > MAX_TENSORS + 100:
        raise WeightsError(f"{path} is a zip archive, but no PyTorch checkpoint; {_AGAIN}.")
    if any(record.compress_type != zipfile.ZIP_STORED for record in records):
        raise WeightsError(f"{path} is compressed, which no PyTorch checkpoint is; {_AGAIN}.")
    if pickles[0].file_size > MAX_HEADER_BYTES:
        raise WeightsError(
            f"{path} has a table of {pickles[0].file_size} bytes, which no Wan model has; {_AGAIN}."
        )
    return sum(record.file_size for record in records if "/data/" in record.filename)


def _check_tensors(path: Path, state: object, payload: int) -> None:
    """Refuse what is no flat dictionary of tensors, and tensors that claim more than the file has."""
    if not isinstance(state, dict) or not state:
        raise WeightsError(f"{path} holds no tensors by name; use the official file.")
    if len(state) > MAX_TENSORS:
        raise WeightsError(f"{path} lists {len(state)} tensors, more than any Wan model has; {_AGAIN}.")
    claimed = 0
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise WeightsError(
                f"{path} is no flat list of tensors ({str(name)[:60]} is a {type(tensor).__name__}); "
                "use the official file, not a training checkpoint."
            )
        if tensor.device.type != "cpu" or tensor.layout != torch.strided or tensor.dtype not in _DTYPES:
            raise WeightsError(
                f"{path} has {name[:60]} as {tensor.dtype} on {tensor.device}; "
                "use fp32, bf16 or fp16 weights."
            )
        claimed += tensor.numel() * tensor.element_size()
    if claimed > min(payload, path.stat().st_size):
        raise WeightsError(
            f"{path} claims {claimed} bytes of tensors but has only {payload}; do not use it, {_AGAIN}."
        )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:160]
