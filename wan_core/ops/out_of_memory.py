"""Telling that memory ran out from every other error."""

from __future__ import annotations

import torch

from wan_core.schema import OutOfMemory

# How a CPU, cuBLAS, cuDNN and MPS say it: plain RuntimeErrors.
_MARKS = ("can't allocate memory", "ALLOC_FAILED", "out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory, on the device or in RAM.

    Whoever turns errors of a library into sentences about a file asks first: a file is not damaged because
    there was no room for it.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError | OutOfMemory):
        return True
    return isinstance(error, RuntimeError) and any(mark in str(error) for mark in _MARKS)
