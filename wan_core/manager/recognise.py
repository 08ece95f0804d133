"""Tells what a checkpoint's tensors belong to, and gives them the official names. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from wan_core.manager.headers import Shape, TensorEntry, read_header
from wan_core.manager.shards import checkpoints
from wan_core.models.clip import checkpoint as clip_checkpoint
from wan_core.models.clip import dialects as clip_dialects
from wan_core.models.dit import checkpoint as dit_checkpoint
from wan_core.models.dit import dialects as dit_dialects
from wan_core.models.tiny_vae.checkpoint import is_tiny_decoder
from wan_core.models.umt5 import checkpoint as umt5_checkpoint
from wan_core.models.umt5 import dialects as umt5_dialects
from wan_core.models.vae import checkpoint as vae_checkpoint
from wan_core.models.vae import dialects as vae_dialects
from wan_core.schema import WeightsError
from wan_core.schema.dialect import SCALE, Combine, Dialect, tidy

Shapes = Mapping[str, Shape]
Value = TypeVar("Value")

DIALECTS: tuple[Dialect, ...] = (
    *dit_dialects.DIALECTS,
    *umt5_dialects.DIALECTS,
    *clip_dialects.DIALECTS,
    *vae_dialects.DIALECTS,
)
"""Every way of naming tensors but the official; the first whose marks are there is taken."""

_ENTRIES: Combine[TensorEntry] = Combine(
    stack=lambda parts: TensorEntry(
        parts[0].dtype,
        (sum(part.shape[0] for part in parts), *parts[0].shape[1:]),
        sum(part.nbytes for part in parts),
    ),
    lead=lambda entry, ones: TensorEntry(entry.dtype, (1,) * ones + entry.shape, entry.nbytes),
)


def find_dialect(names: Collection[str]) -> Dialect | None:
    """The dialect of these names, without their prefix; None for the official one and unknown ones."""
    return next((dialect for dialect in DIALECTS if all(mark in names for mark in dialect.marks)), None)


def official(state: Mapping[str, Value], combine: Combine[Value]) -> dict[str, Value]:
    """The tensors of one checkpoint under official names; those of an unknown model as they are.

    Scales of quantised weights are called ``<name>.weight_scale``.

    Raises:
        WeightsError: the weights are in a format that is not read.
    """
    tidied = tidy(state)
    dialect = find_dialect(tidied.keys())
    return dialect.to_official(tidied, combine) if dialect else tidied


def join(checkpoints_found: Iterable[Mapping[str, Value]]) -> dict[str, Value]:
    """The tensors of all checkpoints of a part, such as a model and the VACE module made for it.

    Raises:
        WeightsError: two of them hold the same tensor.
    """
    joined: dict[str, Value] = {}
    for found in checkpoints_found:
        twice = next((name for name in found if name in joined), None)
        if twice is not None:
            raise WeightsError(f"Two files hold {twice[:80]}; choose one model and at most a module for it.")
        joined |= found
    return joined


def read_entries(folder: Path, files: Iterable[str]) -> dict[str, TensorEntry]:
    """What the headers say of a part's tensors, under official names; scales among them.

    Raises:
        WeightsError: a file is missing, damaged or no checkpoint.
    """
    return join(
        official(
            {name: entry for path in shards for name, entry in read_header(path).tensors.items()}, _ENTRIES
        )
        for shards in checkpoints(folder, files)
    )


def read_shapes(folder: Path, files: Iterable[str]) -> dict[str, Shape]:
    """Official name -> shape of every tensor of a part, without scales; an index stands for its shards.

    Raises:
        WeightsError: as ``read_entries``.
    """
    entries = read_entries(folder, files)
    return {name: entry.shape for name, entry in entries.items() if not name.endswith(SCALE)}


def looks_like(shapes: Shapes) -> str:
    """A phrase for what these tensors are, as far as their official names tell."""
    if dit_checkpoint.is_vace_module(shapes):
        return "a VACE module, which needs the transformer that it was made for beside it"
    if dit_checkpoint.find_kind(shapes):
        return f"a {dit_checkpoint.describe(shapes)}"
    if vae_checkpoint.is_vae(shapes):
        return f"a Wan VAE of width {_width(shapes['encoder.conv1.weight'][:1])}"
    if umt5_checkpoint.is_umt5(shapes):
        return f"a umT5 text encoder of width {_width(shapes['token_embedding.weight'][1:])}"
    if clip_checkpoint.is_clip(shapes):
        return f"a CLIP image encoder of width {_width(shapes['visual.cls_embedding'][2:])}"
    if dit_checkpoint.is_motion_controller(shapes):
        return "a motion controller"
    if is_tiny_decoder(shapes):
        return "a tiny decoder for previews"
    for mark, phrase in _OTHER_FILES:
        if any(mark in name for name in shapes):
            return phrase
    return f"an unknown model ({len(shapes)} tensors, the first is {next(iter(shapes), 'none')[:60]})"


def _width(shape: Shape) -> str:
    return str(shape[0]) if shape else "unknown"


# What occurs in a tensor's name -> what file it is in; the first that fits decides
_OTHER_FILES = (
    ("lora_", "a LoRA"),
    ("visual.transformer.", "a CLIP image encoder"),
    ("condition_embedder.", "a Wan transformer in the diffusers format"),
    ("encoder.block.0.layer.0.SelfAttention", "a T5 encoder in the transformers format"),
    ("quant_conv.", "a VAE in the diffusers format"),
)
