"""Which tensors of the official CLIP file are the image encoder, and their sizes. Imports no torch.

The file holds a whole CLIP: ``visual.*``, ``textual.*`` and ``log_scale``. Wan runs the image half, and of
that neither the last block nor what follows it; only what runs is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

from wan_core.models.clip.config import CLIPConfig
from wan_core.schema.errors import WeightsError

OFFICIAL_HEAD_DIM = 80

Shapes = Mapping[str, Sequence[int]]
Value = TypeVar("Value")  # a tensor, or its shape

_PREFIX = "visual."
_BLOCKS = "visual.transformer."
_OTHER_HALF = ("textual.", "log_scale")
_AFTER_THE_BLOCKS = ("visual.post_norm.", "visual.head")


def is_clip(shapes: Shapes) -> bool:
    """Whether the official CLIP image encoder is among these tensors, by its tell-tale keys."""
    return "visual.cls_embedding" in shapes and "visual.transformer.0.attn.to_qkv.weight" in shapes


def select_used(state: Mapping[str, Value]) -> dict[str, Value]:
    """The tensors that run. Unknown names stay, for a strict load to report."""
    unused = (*_OTHER_HALF, *_AFTER_THE_BLOCKS, f"{_BLOCKS}{_count_blocks(state) - 1}.")
    return {name: value for name, value in state.items() if not name.startswith(unused)}


def to_module_keys(state: Mapping[str, Value]) -> dict[str, Value]:
    """Official names -> the names of ``CLIPImageEncoder``."""
    return {name.removeprefix(_PREFIX): value for name, value in state.items()}


def infer_config(shapes: Shapes, num_heads: int | None = None) -> CLIPConfig:
    """Sizes from the official names and shapes of a whole CLIP file (spec 5).

    Args:
        shapes: name -> shape, before ``select_used``.
        num_heads: shapes do not tell; left out, heads have 80 elements, as in the official model.

    Raises:
        WeightsError: the tensors hold no CLIP image encoder, or the number of heads does not fit.
    """
    if not is_clip(shapes):
        raise WeightsError(
            f"These {len(shapes)} tensors hold no CLIP image encoder: visual.cls_embedding is missing. "
            "Choose models_clip_open-clip-xlm-roberta-large-vit-huge-14."
        )
    try:
        dim, _, _, patch_size = shapes["visual.patch_embedding.weight"]
        num_heads = num_heads or dim // OFFICIAL_HEAD_DIM
        if num_heads < 1 or dim % num_heads:
            raise WeightsError(f"An image encoder of width {dim} does not split into {num_heads} heads.")
        return CLIPConfig(
            dim=dim,
            dim_mlp=shapes["visual.transformer.0.mlp.0.weight"][0],
            num_heads=num_heads,
            num_layers=_count_blocks(shapes) - 1,
            image_size=math.isqrt(shapes["visual.pos_embedding"][1] - 1) * patch_size,
            patch_size=patch_size,
        )
    except KeyError as error:
        raise WeightsError(
            f"The image encoder is incomplete: {error.args[0]} is missing. Download its file again."
        ) from error
    except (ValueError, IndexError) as error:
        raise WeightsError(
            "The image encoder is damaged: a tensor has an impossible shape. Download its file again."
        ) from error


def _count_blocks(state: Mapping[str, Value]) -> int:
    return len({name.split(".")[2] for name in state if name.startswith(_BLOCKS)})
