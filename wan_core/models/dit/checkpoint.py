"""What a DiT checkpoint says about its own sizes. Imports no torch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from wan_core.models.dit.config import DiTConfig, Kind
from wan_core.schema.errors import WeightsError

OFFICIAL_HEAD_DIM = 128

Shapes = Mapping[str, Sequence[int]]

# The first key that a checkpoint has decides; the order is from special to general.
_KINDS: tuple[tuple[str, Kind], ...] = (
    ("vace_patch_embedding.weight", "vace"),
    ("img_emb.emb_pos", "flf2v"),
    ("img_emb.proj.0.weight", "i2v"),
    ("blocks.0.self_attn.norm_q.weight", "t2v"),
)


def find_kind(shapes: Shapes) -> Kind | None:
    """What the model was made for; None when these tensors are no Wan DiT's."""
    return next((kind for key, kind in _KINDS if key in shapes), None)


def describe(shapes: Shapes) -> str:
    """One phrase about the model, such as ``Wan t2v transformer, 1.42 B parameters, 30 layers``."""
    kind = find_kind(shapes)
    if kind is None:
        return f"no Wan transformer ({len(shapes)} tensors)"
    parameters = sum(math.prod(shape) for shape in shapes.values())
    return f"Wan {kind} transformer, {parameters / 1e9:.2f} B parameters, {_count_layers(shapes)} layers"


def infer_config(
    shapes: Shapes,
    num_heads: int | None = None,
    text_len: int | None = None,
    vace_layers: Sequence[int] | None = None,
) -> DiTConfig:
    """Sizes from the names and shapes of a DiT's tensors (official names, spec 1 and 2).

    Args:
        shapes: name -> shape.
        num_heads: what the checkpoint's ``config.json`` says; shapes do not tell. Left out, heads
            have 128 elements, as in every official model.
        text_len: likewise; left out, it is the official 512.
        vace_layers: likewise; left out, they are spread evenly from the first block on, as in every
            official model. A model without VACE has none, whatever is given here.

    Raises:
        WeightsError: the tensors are no Wan DiT's, or what is told besides does not fit them.
    """
    kind = find_kind(shapes)
    if kind is None:
        raise WeightsError(
            f"These {len(shapes)} tensors are no Wan transformer: blocks.0.self_attn.norm_q is missing. "
            "Choose a diffusion_pytorch_model file of a Wan2.1 model."
        )
    try:
        config = _read_sizes(shapes, num_heads)
        if kind in ("i2v", "flf2v"):
            config = _add_image(config, shapes)
        elif kind == "vace":
            config = _add_vace(config, shapes, vace_layers)
        return config if text_len is None else dataclasses.replace(config, text_len=text_len)
    except KeyError as error:
        raise WeightsError(
            f"The Wan transformer is incomplete: {error.args[0]} is missing. Download its files again."
        ) from error
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise WeightsError(
            "The Wan transformer is damaged: a tensor has an impossible shape. Download its files again."
        ) from error


def _read_sizes(shapes: Shapes, num_heads: int | None) -> DiTConfig:
    dim, in_dim, *patch = shapes["patch_embedding.weight"]
    if num_heads is None:
        num_heads = dim // OFFICIAL_HEAD_DIM
    if num_heads < 1 or dim % num_heads or dim // num_heads % 2:
        raise WeightsError(
            f"A width of {dim} does not split into {num_heads} heads of an even size; "
            "put the model's config.json, with num_heads, beside the weights."
        )
    return DiTConfig(
        dim=dim,
        ffn_dim=shapes["blocks.0.ffn.0.weight"][0],
        num_heads=num_heads,
        num_layers=_count_layers(shapes),
        in_dim=in_dim,
        out_dim=shapes["head.head.weight"][0] // math.prod(patch),
        text_dim=shapes["text_embedding.0.weight"][1],
        freq_dim=shapes["time_embedding.0.weight"][1],
        patch_size=(patch[0], patch[1], patch[2]),
    )


def _add_image(config: DiTConfig, shapes: Shapes) -> DiTConfig:
    return dataclasses.replace(
        config,
        image_dim=shapes["img_emb.proj.1.weight"][1],
        image_positions=shapes.get("img_emb.emb_pos", (1, 0))[1],
    )


def _add_vace(config: DiTConfig, shapes: Shapes, layers: Sequence[int] | None) -> DiTConfig:
    number = _count_layers(shapes, "vace_blocks.")
    if layers is None:
        spread = config.num_layers // number
        layers = range(0, number * spread, spread)
    fitting = sorted(set(layers) & set(range(config.num_layers)))
    if fitting != [*layers] or len(layers) != number:
        raise WeightsError(
            f"{number} VACE blocks beside {config.num_layers} others do not fit the vace_layers "
            f"{[*layers]}; put the model's own config.json beside the weights."
        )
    return dataclasses.replace(
        config, vace_in_dim=shapes["vace_patch_embedding.weight"][1], vace_layers=tuple(layers)
    )


def _count_layers(shapes: Shapes, prefix: str = "blocks.") -> int:
    return len({name.split(".")[1] for name in shapes if name.startswith(prefix)})
