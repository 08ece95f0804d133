"""Gives a model quantised layers where its file or a scheme says so, and each tensor its final form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from wan_core.quantization.embedding import QuantEmbedding
from wan_core.quantization.fp8_matmul import Fp8MatmulLinear
from wan_core.quantization.linear import QuantLinear
from wan_core.quantization.stored import Loadable, StoredTensor, store
from wan_core.schema.schemes import SCHEMES

# Only matrices of blocks are quantised: patch, text, time and picture embeddings, norms, modulation and head
# stay high. So do narrow matrices, such as the encoder of a camera's pose.
_BLOCKS = ("blocks.", "vace_blocks.", "encoder.block.")
_FEWEST_COLUMNS = 16
_TABLES = ("shared.weight", "encoder.embed_tokens.weight", "token_embedding.weight")
"""Names of umT5's token table: a file may hold it quantised, and then it stays so."""
_POSITIONS = ("pos_embedding.embedding.weight", "relative_attention_bias.weight")  # tables, no matrices


def prepare(
    model: nn.Module,
    tensors: Mapping[str, Loadable],
    scheme: str | None,
    dtype_of: Callable[[str], torch.dtype | None],
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Each tensor's name in turn, with the tensors of the state dict that come of it.

    Layers whose weight stays or becomes quantised are replaced on ``model``; it is complete when the
    iterator has ended. A weight that the file holds quantised is never quantised again.

    Args:
        model: on ``meta``, with plain layers.
        tensors: name in ``model`` -> tensor, of the right shapes.
        scheme: how the matrices of blocks are to be kept, an id of ``SCHEMES``; None is as in the file.
        dtype_of: name -> dtype of what is not quantised; None is the file's.
    """
    done: dict[int, Tensor] = {}  # by identity: one tensor may have two names
    unpacked = scheme is not None and SCHEMES[scheme].plain
    for name, tensor in tensors.items():
        stored = None if unpacked else _keep_quantised(model, name, tensor, scheme)
        if stored is None:
            if id(tensor) not in done:
                done[id(tensor)] = _to_plain(tensor, dtype_of(name))
            yield name, {name: done[id(tensor)]}
        else:
            layer = name.removesuffix(".weight")
            _replace(model, layer, stored, scheme == "fp8_scaled", dtype_of(name))
            yield name, _state(layer, stored)


def is_quantisable(model: nn.Module, name: str) -> bool:
    """Whether the tensor ``name`` is the weight of a layer that may be kept quantised."""
    layer, _, kind = name.rpartition(".")
    if kind != "weight" or not name.startswith(_BLOCKS):
        return False
    module = model.get_submodule(layer)
    return isinstance(module, nn.Linear) and module.in_features >= _FEWEST_COLUMNS


def is_table(name: str) -> bool:
    """Whether the tensor ``name`` stays quantised where its file holds it so; no scheme makes it so."""
    return name in _TABLES


def is_block_matrix(name: str, shape: Sequence[int]) -> bool:
    """``is_quantisable`` of a tensor of a transformer or text encoder, by its name and shape alone."""
    is_weight = name.endswith(".weight") and name.startswith(_BLOCKS) and not name.endswith(_POSITIONS)
    return is_weight and len(shape) == 2 and shape[1] >= _FEWEST_COLUMNS


def _keep_quantised(model: nn.Module, name: str, tensor: Loadable, scheme: str | None) -> StoredTensor | None:
    """The weight as it is to be kept, or None where it is to be plain."""
    if isinstance(tensor, StoredTensor):
        rows_are_whole = tensor.packed.shape[0] == tensor.shape[0]
        return tensor if rows_are_whole and (is_table(name) or is_quantisable(model, name)) else None
    return None if scheme is None or not is_quantisable(model, name) else store(tensor, scheme)


def _replace(
    model: nn.Module, layer: str, stored: StoredTensor, multiply: bool, dtype: torch.dtype | None
) -> None:
    """Put a quantised layer in the place of a plain one, under all its names."""
    plain = model.get_submodule(layer)
    if isinstance(plain, QuantEmbedding):  # reached by its other name before
        return
    if isinstance(plain, nn.Embedding):
        made: nn.Module = QuantEmbedding(stored, dtype or stored.dtype)
    elif multiply and stored.scheme in ("fp8_scaled", "fp8_e4m3"):
        made = Fp8MatmulLinear(stored, plain.bias)
    else:
        made = QuantLinear(stored, plain.bias)
    names = [name for name, module in model.named_modules(remove_duplicate=False) if module is plain]
    for name in names:
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, made)


def _state(layer: str, stored: StoredTensor) -> dict[str, Tensor]:
    state = {f"{layer}.packed": stored.packed}
    return state if stored.scale is None else {**state, f"{layer}.scale": stored.scale}


def _to_plain(tensor: Loadable, dtype: torch.dtype | None) -> Tensor:
    dtype = dtype or tensor.dtype
    return tensor.unpack(dtype) if isinstance(tensor, StoredTensor) else tensor.to(dtype)
