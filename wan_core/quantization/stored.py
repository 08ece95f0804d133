"""A quantised tensor as its file or module holds it, and the tables of how schemes pack and unpack."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from wan_core.quantization.fp8 import FORMATS, pack_fp8, unpack_fp8
from wan_core.quantization.gguf import unpack_gguf
from wan_core.quantization.int8 import pack_int8, unpack_int8
from wan_core.schema.errors import WeightsError
from wan_core.schema.schemes import GGUF_SCHEMES

SCALE_SUFFIX = "_scale"
"""What the scale of a tensor is called after it: ``q.weight`` and ``q.weight_scale``."""

PACK: dict[str, Callable[[Tensor], tuple[Tensor, Tensor | None]]] = {
    **{scheme: partial(pack_fp8, scheme=scheme) for scheme in FORMATS},
    "int8": pack_int8,
}
"""Scheme -> (rows, columns) to packed numbers and scales; the schemes that weights can be brought to."""

UNPACK: dict[str, Callable[[Tensor, Tensor | None, torch.dtype], Tensor]] = {
    **{scheme: partial(unpack_fp8, format_=format_) for scheme, format_ in FORMATS.items()},
    "int8": unpack_int8,
    **{
        scheme.id: lambda packed, scale, dtype, name=name: unpack_gguf(packed, dtype, name)
        for name, scheme in GGUF_SCHEMES.items()
    },
}
"""Scheme -> packed numbers, scales and dtype to (rows, columns) of that dtype."""

_STORED_DTYPES = {torch.float8_e4m3fn: "fp8_e4m3", torch.float8_e5m2: "fp8_e5m2", torch.int8: "int8"}


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """Packed numbers with what they mean.

    Attributes:
        scheme: a key of ``UNPACK``.
        packed: (rows, bytes or numbers of a row); may be memory-mapped.
        scale: (1, 1) or (rows, 1), float32; None in formats without, or with scales of their own.
        shape: of the tensor that it stands for.
    """

    scheme: str
    packed: Tensor
    scale: Tensor | None
    shape: tuple[int, ...]

    @property
    def dtype(self) -> torch.dtype:
        """What it is unpacked to where nothing else is asked for."""
        return torch.bfloat16

    @property
    def nbytes(self) -> int:
        return self.packed.nbytes + (0 if self.scale is None else self.scale.nbytes)

    def unpack(self, dtype: torch.dtype) -> Tensor:
        """The tensor that it stands for."""
        return UNPACK[self.scheme](self.packed, self.scale, dtype).reshape(self.shape)


Loadable = Tensor | StoredTensor


def store(weight: Tensor, scheme: str) -> StoredTensor:
    """A matrix (rows, columns) brought to a scheme of ``PACK``."""
    packed, scale = PACK[scheme](weight)
    return StoredTensor(scheme, packed, scale, tuple(weight.shape))


def pair_scales(tensors: Mapping[str, Loadable]) -> dict[str, Loadable]:
    """The tensors of a file, those of fp8 or int8 joined with their scales; scales no longer stand alone.

    Raises:
        WeightsError: a scale has no tensor, or not one number, or one for each of its rows; or a tensor
            holds integers whose meaning nothing tells.
    """
    paired: dict[str, Loadable] = {}
    for name, tensor in tensors.items():
        if isinstance(tensor, Tensor) and not tensor.is_floating_point() and tensor.dtype != torch.int8:
            raise WeightsError(
                f"{name[:80]} is kept as {str(tensor.dtype).removeprefix('torch.')}, which is no format of "
                "weights that the studio reads; use a checkpoint in fp8, bf16 or GGUF."
            )
        if isinstance(tensor, Tensor) and tensor.dtype in _STORED_DTYPES:
            paired[name] = _join(name, tensor, tensors.get(name + SCALE_SUFFIX))
        elif not name.endswith(f".weight{SCALE_SUFFIX}"):
            paired[name] = tensor
        elif name.removesuffix(SCALE_SUFFIX) not in tensors:
            raise WeightsError(f"{name} scales a tensor that is not there; download the file again.")
    return paired


def _join(name: str, tensor: Tensor, scale: Loadable | None) -> StoredTensor:
    scheme = _STORED_DTYPES[tensor.dtype]
    rows = tensor.shape[0] if tensor.ndim > 1 else 1
    packed = tensor.reshape(rows, -1)
    if scale is None:
        if scheme == "int8":
            raise WeightsError(f"{name} is int8 and has no scale; use a checkpoint in fp8, bf16 or GGUF.")
        return StoredTensor(scheme, packed.view(torch.uint8), None, tuple(tensor.shape))
    count = math.prod(scale.shape)
    if not isinstance(scale, Tensor) or not scale.dtype.is_floating_point or count not in (1, rows):
        raise WeightsError(
            f"{name} has {count} scales for {rows} rows; use a checkpoint with a scale per tensor or row."
        )
    if scheme != "int8":
        scheme = "fp8_scaled" if scheme == "fp8_e4m3" else scheme
        packed = packed.view(torch.uint8)
    return StoredTensor(scheme, packed, scale.reshape(-1, 1).float(), tuple(tensor.shape))
