"""Opens a GGUF file as memory-mapped tensors; quantised ones stay packed, and are unpacked for each use."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from wan_core.manager.headers.apart import read_apart
from wan_core.manager.headers.entry import AGAIN, TensorEntry
from wan_core.ops.out_of_memory import is_out_of_memory
from wan_core.quantization.stored import Loadable, StoredTensor
from wan_core.schema import WeightsError
from wan_core.schema.schemes import GGUF_SCHEMES

_PLAIN = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def open_gguf(path: Path) -> dict[str, Loadable]:
    """Name -> tensor on the CPU, read from the disk only when it is used.

    Tensors of F32, F16 and BF16 are plain, the others ``StoredTensor``; all have their logical shapes.

    Raises:
        WeightsError: the file is damaged, or holds a type that is not unpacked here.
    """
    entries = read_apart(path, "gguf").tensors
    _check(path, entries)
    try:
        data = torch.from_file(str(path), shared=False, size=path.stat().st_size, dtype=torch.uint8)
    except (RuntimeError, OSError) as error:
        if is_out_of_memory(error):
            raise
        raise WeightsError(f"{path} cannot be mapped ({str(error)[:160]}); check its permissions.") from error
    return {name: _view(data, entry) for name, entry in entries.items()}


def _check(path: Path, entries: dict[str, TensorEntry]) -> None:
    """Refuse types that cannot be unpacked, and places that torch cannot map or that are claimed twice."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].offset):
        if entry.dtype not in _PLAIN and entry.dtype not in GGUF_SCHEMES:
            raise WeightsError(
                f"{path} keeps {name[:60]} as {entry.dtype}, which the studio does not unpack; "
                f"use a file of {', '.join(GGUF_SCHEMES)}, F16 or BF16."
            )
        if entry.dtype in _PLAIN and entry.offset % _PLAIN[entry.dtype].itemsize:
            raise WeightsError(f"{path} is damaged ({name[:60]} is not aligned); {AGAIN}.")
        if entry.offset < end or not entry.nbytes:
            raise WeightsError(f"{path} is damaged ({name[:60]} is empty or overlaps another); {AGAIN}.")
        end = entry.offset + entry.nbytes


def _view(data: Tensor, entry: TensorEntry) -> Loadable:
    raw = data.narrow(0, entry.offset, entry.nbytes)
    if entry.dtype in _PLAIN:
        return raw.view(_PLAIN[entry.dtype]).view(entry.shape)
    scheme = GGUF_SCHEMES[entry.dtype]
    whole_rows = len(entry.shape) == 2 and entry.shape[1] % scheme.block == 0
    packed = raw.view(entry.shape[0] if whole_rows else 1, -1)
    return StoredTensor(scheme.id, packed, None, entry.shape)
