"""How fast each attention kernel is on a device, timed at the length of a real clip."""

from __future__ import annotations

import time
from collections.abc import Iterable

import torch

from wan_core.ops.failures import FOREIGN_FAILURES
from wan_core.ops.kernels import KERNELS, Kernel
from wan_core.schema.attention import AttentionName

TOKENS, TOKENS_ON_CPU = 32760, 1950
"""81 frames of 832x480; 5 of them on a CPU, where more would take minutes."""

_HEADS, _HEAD_DIM = 12, 128  # of the 1.3B model
_ROUNDS = 3


def attention_seconds(
    names: Iterable[AttentionName], device: torch.device, dtype: torch.dtype
) -> dict[AttentionName, float]:
    """Seconds of a self-attention of the 1.3B model with each kernel: the least of three, taken in turns.

    Those that fail at this length, for want of memory, say, are left out.

    Args:
        names: of ``KERNELS``; kernels that came out right in their trial.
        device: where models run.
        dtype: what the transformer computes in.
    """
    tokens = TOKENS_ON_CPU if device.type == "cpu" else TOKENS
    inputs = [torch.randn(1, tokens, _HEADS, _HEAD_DIM, dtype=dtype, device=device) for _ in range(3)]
    found: dict[AttentionName, float] = {}
    failed: set[AttentionName] = set()
    wanted = list(names)
    for round_ in range(_ROUNDS + 1):
        for name in (name for name in wanted if name not in failed):
            try:
                seconds = _timed(KERNELS[name], inputs, device)
            except FOREIGN_FAILURES:
                failed.add(name)
                found.pop(name, None)
                continue
            if round_:  # the first is to warm up
                found[name] = min(seconds, found.get(name, seconds))
    return found


def _timed(kernel: Kernel, inputs: list[torch.Tensor], device: torch.device) -> float:
    start = time.perf_counter()
    with torch.inference_mode():
        kernel.run(*inputs, None)
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter() - start
