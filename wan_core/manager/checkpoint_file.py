"""Opens one checkpoint file as a dictionary of memory-mapped tensors; trusts nothing that it says.

The only place that opens checkpoints. A pickle's code is never run: ``.pth`` files are read with
``weights_only=True``, and what that refuses is refused.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Set
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from wan_core.manager.gguf_file import open_gguf
from wan_core.manager.headers import Format, read_header, sniff
from wan_core.manager.headers.entry import AGAIN, MAX_TENSORS
from wan_core.manager.headers.pth import check_zip, unwrap
from wan_core.ops.failures import first_line
from wan_core.ops.out_of_memory import is_out_of_memory
from wan_core.quantization.stored import Loadable
from wan_core.schema import WeightsError

_DTYPES = frozenset({torch.float64, torch.float32, torch.float16, torch.bfloat16})
_DTYPES |= {torch.float8_e4m3fn, torch.float8_e5m2, torch.int8}
_WHOLE = frozenset({torch.int64, torch.int32, torch.uint8, torch.bool})
"""Places and switches, which some upscalers keep beside their weights; no part of Wan does."""

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


def open_checkpoint(path: Path, whole_numbers: bool = False) -> dict[str, Loadable]:
    """Name -> tensor on the CPU, as it is in the file, read from the disk only when it is used.

    ``whole_numbers``: a ``.pth`` may hold tensors of these, too.

    Raises:
        WeightsError: the file is missing, cut short, no checkpoint, or not to be trusted.
    """
    if (format := sniff(path)) == "pth":
        return _open_pth(path, _DTYPES | _WHOLE if whole_numbers else _DTYPES)
    return _OPENERS[format](path)


def _open_safetensors(path: Path) -> dict[str, Loadable]:
    header = read_header(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in header.tensors}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is damaged ({error}); {AGAIN}.") from error


def _open_pth(path: Path, dtypes: Set[torch.dtype]) -> dict[str, Loadable]:
    read_header(path)  # in a process of its own; what is no plain table of tensors ends here
    payload = check_zip(path)
    try:
        state = unwrap(torch.load(path, map_location="cpu", mmap=True, weights_only=True))
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors, possibly code that would run, and is not opened; "
            "use the official file or a .safetensors file."
        ) from error
    except _UNPICKLING_ERRORS as error:
        if is_out_of_memory(error):
            raise
        problem = f"{type(error).__name__}: {first_line(error)}"
        raise WeightsError(f"{path} is damaged ({problem}); {AGAIN}.") from error
    _check_tensors(path, state, payload, dtypes)
    return {name: tensor.detach() for name, tensor in state.items()}


_OPENERS: dict[Format, Callable[[Path], dict[str, Loadable]]] = {
    "safetensors": _open_safetensors,
    "gguf": open_gguf,
}


def _check_tensors(path: Path, state: object, payload: int, dtypes: Set[torch.dtype]) -> None:
    """Refuse what is no flat dictionary of tensors, and tensors that claim more than the file has."""
    if not isinstance(state, dict) or not state:
        raise WeightsError(f"{path} holds no tensors by name; use the official file.")
    if len(state) > MAX_TENSORS:
        raise WeightsError(f"{path} lists {len(state)} tensors, more than any Wan model has; {AGAIN}.")
    claimed = 0
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise WeightsError(
                f"{path} is no flat list of tensors ({str(name)[:60]} is a {type(tensor).__name__}); "
                "use the official file, not a training checkpoint."
            )
        if tensor.device.type != "cpu" or tensor.layout != torch.strided or tensor.dtype not in dtypes:
            raise WeightsError(
                f"{path} has {name[:60]} as {tensor.dtype} on {tensor.device}; "
                "use the official file or a .safetensors file."
            )
        claimed += tensor.numel() * tensor.element_size()
    if claimed > min(payload, path.stat().st_size):
        raise WeightsError(
            f"{path} claims {claimed} bytes of tensors but has only {payload}; do not use it, {AGAIN}."
        )
