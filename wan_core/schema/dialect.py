"""What checkpoints of other makers differ in, and how their names become the official ones.

Imports no torch: the values that go with the names may be tensors or lines of a file's header.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from wan_core.schema.errors import WeightsError

Value = TypeVar("Value")
Renamer = Callable[[str], str | None]
"""A name without prefix -> the official name; None for what no model of ours has."""

PREFIXES = (
    "model.diffusion_model.",
    "diffusion_model.",
    "pipe.dit.",
    "pipe.vace.",
    "pipe.vae.",
    "pipe.image_encoder.",
    "pipe.text_encoder.",
    "first_stage_model.",
    "module.",
    "model.",
)
"""What makers put before all names of a file (ComfyUI, DiffSynth, trainers); longer ones first."""

_MARKERS = ("scaled_fp8", "comfy_quant", "spiece_model", "scale_input", "input_scale", "position_ids")
"""Last words of names that are no weights: marks of a format, a tokenizer, scales of activations."""

_SECOND_SCALE = ".weight_scale_2"
SCALE = ".weight_scale"
_OLD_SCALE = ".scale_weight"


@dataclass(frozen=True)
class Combine(Generic[Value]):
    """What is done to values besides renaming them.

    Attributes:
        stack: makes one of several, end to end along the first dimension.
        lead: puts so many dimensions of one before a value's own.
    """

    stack: Callable[[Sequence[Value]], Value]
    lead: Callable[[Value, int], Value]


@dataclass(frozen=True)
class Dialect:
    """One maker's names for one part.

    Attributes:
        title: what people call it.
        marks: names that a file has, once the prefix is gone, if and only if it speaks this dialect.
        renamer: all names of the file -> how each becomes official.
        combine: applied after renaming, where names alone do not make the difference.
    """

    title: str
    marks: tuple[str, ...]
    renamer: Callable[[Collection[str]], Renamer]
    combine: Callable[[dict[str, Any], Combine], dict[str, Any]] | None = None

    def to_official(self, state: Mapping[str, Value], combine: Combine[Value]) -> dict[str, Value]:
        """The values under official names. Unknown names pass, for a strict load to report."""
        rename = self.renamer(state.keys())
        renamed: dict[str, Value] = {}
        for name, value in state.items():
            if name.endswith(SCALE):
                official = rename(name.removesuffix("_scale"))
                official = official and f"{official}_scale"
            else:
                official = rename(name)
            if official is not None:
                renamed[official] = value
        return self.combine(renamed, combine) if self.combine else renamed


def tidy(state: Mapping[str, Value]) -> dict[str, Value]:
    """The values without what makers put around them: prefixes, markers, older names of scales.

    Raises:
        WeightsError: the weights are in a format whose meaning the names tell, and which is not read.
    """
    prefix = next((p for p in PREFIXES if 2 * sum(name.startswith(p) for name in state) > len(state)), "")
    tidied: dict[str, Value] = {}
    for name, value in state.items():
        short = name.removeprefix(prefix)
        if short.endswith(_SECOND_SCALE):
            raise WeightsError(
                f"{short[:80]} belongs to weights in nvfp4, which the studio does not read; "
                "use a file in fp8, GGUF or bf16."
            )
        if short.rpartition(".")[2] in _MARKERS:
            continue
        if short.endswith(_OLD_SCALE):
            short = short.removesuffix(_OLD_SCALE) + SCALE
        tidied[short] = value
    return tidied


def rename_by(layers: Mapping[str, str | None], name: str) -> str | None:
    """``name`` with the part before its last word replaced by the table, or all of it; else unchanged."""
    if name in layers:
        return layers[name]
    layer, dot, end = name.rpartition(".")
    if layer not in layers:
        return name
    official = layers[layer]
    return official and official + dot + end
