"""The attention kernels there are: torch's own, and those of packages that a person may have installed.

Each takes query (B, L, heads, head_dim), key and value (B, S, heads, head_dim) and returns
(B, L, heads, head_dim), with scale 1/sqrt(head_dim) and no causal mask.
"""

# B batch, L queries, S keys

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from wan_core.ops.row_attention import attention_by_rows
from wan_core.schema.attention import AttentionName

_FEW_TOKENS = 256
"""With fewer, rows of products are no faster."""

_HALVES = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Kernel:
    """One kernel, and what it takes; what it does not take goes to torch's choice.

    Attributes:
        run: (query, key, value, key_bias) -> output.
        package: what must be installed; empty for torch's own.
        dtypes: None are all.
        head_dims: None are all.
        takes_bias: whether it adds a bias to the logits.
        exact: whether Auto may choose it: as near to float32 as torch's own, give or take a rounding, and
            without a matrix of logits that a long clip has no room for.
        tolerance: of the largest output, how far from float32 it may be in the trial; beside the rounding
            of its inputs.
        pattern: which pairs of a clip's tokens it leaves out, a key of ``sparse.PATTERNS``; empty for none.
            Where it is not told how the tokens lie, it leaves out nothing.
    """

    run: Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
    package: str = ""
    dtypes: tuple[torch.dtype, ...] | None = None
    head_dims: tuple[int, ...] | None = None
    takes_bias: bool = False
    exact: bool = True
    tolerance: float = 0.02
    pattern: str = ""

    def takes(self, query: Tensor, key_bias: Tensor | None) -> bool:
        """Whether it computes such an attention."""
        return (
            (key_bias is None or self.takes_bias)
            and (self.dtypes is None or query.dtype in self.dtypes)
            and (self.head_dims is None or query.shape[-1] in self.head_dims)
        )


def _torch_chooses(query: Tensor, key: Tensor, value: Tensor, key_bias: Tensor | None) -> Tensor:
    heads_first = [tensor.transpose(1, 2) for tensor in (query, key, value)]
    if query.device.type == "cpu":  # the CPU kernel is a fifth slower on strided input
        heads_first = [tensor.contiguous() for tensor in heads_first]
    mask = None if key_bias is None else key_bias.expand(1, 1, query.shape[1], -1)
    return F.scaled_dot_product_attention(*heads_first, attn_mask=mask).transpose(1, 2)


def _torchs(backend: SDPBackend, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    with sdpa_kernel(backend):
        return _torch_chooses(query, key, value, bias)


def _xformers(query: Tensor, key: Tensor, value: Tensor, key_bias: Tensor | None) -> Tensor:
    return import_module("xformers.ops").memory_efficient_attention(query, key, value)


def _flash_2(query: Tensor, key: Tensor, value: Tensor, key_bias: Tensor | None) -> Tensor:
    return import_module("flash_attn").flash_attn_func(query, key, value)


def _flash_3(query: Tensor, key: Tensor, value: Tensor, key_bias: Tensor | None) -> Tensor:
    made = import_module("flash_attn_interface").flash_attn_func(query, key, value)
    return made[0] if isinstance(made, tuple) else made  # early versions return the log of the sums, too


def _by_rows(query: Tensor, key: Tensor, value: Tensor, key_bias: Tensor | None) -> Tensor:
    few = min(query.shape[1], key.shape[1]) < _FEW_TOKENS
    if few or query.device.type != "cpu" or torch.compiler.is_compiling():
        return _torch_chooses(query, key, value, key_bias)
    return attention_by_rows(query, key, value)


def _sage(query: Tensor, key: Tensor, value: Tensor, key_bias: Tensor | None) -> Tensor:
    return import_module("sageattention").sageattn(query, key, value, tensor_layout="NHD")


def _sage_3(query: Tensor, key: Tensor, value: Tensor, key_bias: Tensor | None) -> Tensor:
    heads_first = [tensor.transpose(1, 2).contiguous() for tensor in (query, key, value)]
    return import_module("sageattn3").sageattn3_blackwell(*heads_first).transpose(1, 2)


KERNELS: dict[AttentionName, Kernel] = {
    "auto": Kernel(_torch_chooses, takes_bias=True),
    "flash": Kernel(partial(_torchs, SDPBackend.FLASH_ATTENTION), dtypes=_HALVES),
    "efficient": Kernel(partial(_torchs, SDPBackend.EFFICIENT_ATTENTION), takes_bias=True),
    "cudnn": Kernel(partial(_torchs, SDPBackend.CUDNN_ATTENTION), dtypes=_HALVES, head_dims=(64, 128)),
    "math": Kernel(partial(_torchs, SDPBackend.MATH), takes_bias=True, exact=False),
    "rows": Kernel(_by_rows, dtypes=(torch.bfloat16,)),
    "xformers": Kernel(_xformers, "xformers"),
    "flash_2": Kernel(_flash_2, "flash_attn", _HALVES),
    "flash_3": Kernel(_flash_3, "flash_attn_interface", _HALVES, (64, 128, 256)),
    "sage": Kernel(_sage, "sageattention", _HALVES, (64, 128), exact=False, tolerance=0.06),
    "sage_3": Kernel(_sage_3, "sageattn3", _HALVES, (64, 128), exact=False, tolerance=0.2),
    "radial": Kernel(_torch_chooses, takes_bias=True, exact=False, pattern="radial"),
    "sliding_tile": Kernel(_torch_chooses, takes_bias=True, exact=False, pattern="tiled"),
}
"""Name -> kernel."""
