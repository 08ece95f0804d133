"""What the checkpoint of a DiT, or of a motion controller, says about its own sizes. Imports no torch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from wan_core.models.dit.config import PIXELS_PER_CELL, DiTConfig, Kind, MotionConfig
from wan_core.schema.errors import WeightsError

OFFICIAL_HEAD_DIM = 128
_MOTION_FIRST = "linear.0.weight"

Shapes = Mapping[str, Sequence[int]]

# The first key that a checkpoint has decides; the order is from special to general.
_KINDS: tuple[tuple[str, Kind], ...] = (
    ("vace_patch_embedding.weight", "vace"),
    ("blocks.0.cam_encoder.weight", "recam"),
    ("control_adapter.conv.weight", "camera"),
    ("img_emb.emb_pos", "flf2v"),
    ("ref_conv.weight", "control"),
    ("img_emb.proj.0.weight", "i2v"),
    ("blocks.0.self_attn.norm_q.weight", "t2v"),
)


def find_kind(shapes: Shapes) -> Kind | None:
    """What the model was made for; None when these tensors are no Wan DiT's."""
    kind = next((kind for key, kind in _KINDS if key in shapes), None)
    return "control" if kind in ("i2v", "t2v") and _joins_two_clips(shapes) else kind


def is_vace_module(shapes: Shapes) -> bool:
    """Whether these are only the side branch of a VACE model, to be joined to a text-to-video model."""
    return "vace_patch_embedding.weight" in shapes and "patch_embedding.weight" not in shapes


def _joins_two_clips(shapes: Shapes) -> bool:
    """Whether two clips' channels are joined to the noisy ones: a control video and a picture."""
    patch = tuple(shapes.get("patch_embedding.weight", ()))
    head = tuple(shapes.get("head.head.weight", ()))
    return len(patch) == 5 and len(head) == 2 and patch[1] * math.prod(patch[2:]) == 3 * head[0]


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
        config = dataclasses.replace(_read_sizes(shapes, num_heads), **_read_extras(shapes))
        if kind == "vace":
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


def _read_extras(shapes: Shapes) -> dict[str, int]:
    """Sizes of the parts that only some models have."""
    extras = {}
    if "img_emb.proj.0.weight" in shapes:
        extras["image_dim"] = shapes["img_emb.proj.1.weight"][1]
        extras["image_positions"] = shapes.get("img_emb.emb_pos", (1, 0))[1]
    if "ref_conv.weight" in shapes:
        extras["reference_dim"] = shapes["ref_conv.weight"][1]
    if "control_adapter.conv.weight" in shapes:
        extras["camera_dim"] = shapes["control_adapter.conv.weight"][1] // PIXELS_PER_CELL**2
    if "blocks.0.cam_encoder.weight" in shapes:
        extras["camera_path_dim"] = shapes["blocks.0.cam_encoder.weight"][1]
    return extras


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


def is_motion_controller(shapes: Shapes) -> bool:
    """Whether these tensors are a motion controller's."""
    return len(shapes) == 6 and _MOTION_FIRST in shapes and "linear.4.weight" in shapes


def infer_motion_config(shapes: Shapes) -> MotionConfig:
    """Sizes of a motion controller from the shapes of its tensors.

    Raises:
        WeightsError: the tensors are no motion controller's.
    """
    if not is_motion_controller(shapes) or len(shapes[_MOTION_FIRST]) != 2:
        raise WeightsError(
            f"These {len(shapes)} tensors are no motion controller: {_MOTION_FIRST} is missing. "
            "Choose the model.safetensors file of Wan2.1-1.3b-speedcontrol-v1."
        )
    dim, freq_dim = shapes[_MOTION_FIRST]
    return MotionConfig(dim=dim, freq_dim=freq_dim)
