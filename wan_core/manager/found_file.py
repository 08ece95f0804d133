"""What one checkpoint on the disk is, and which models of the catalog it fits. Imports no torch."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wan_core.catalog import MODELS, ModelSpec, Role
from wan_core.catalog.local import GENERIC, split
from wan_core.manager.headers import Shape, TensorEntry
from wan_core.manager.recognise import looks_like, read_entries
from wan_core.manager.shards import INDEX_SUFFIX, expand, stem
from wan_core.models.clip import checkpoint as clip_checkpoint
from wan_core.models.dit import checkpoint as dit_checkpoint
from wan_core.models.dit.config import MotionConfig
from wan_core.models.tiny_vae.checkpoint import is_tiny_decoder
from wan_core.models.umt5 import checkpoint as umt5_checkpoint
from wan_core.models.vae import checkpoint as vae_checkpoint
from wan_core.schema import WeightsError
from wan_core.schema.dialect import SCALE

# Element type of most of the weights -> scheme and what people call it; GGUF types are their own names
_PLAIN = {"F64": ("fp32", "fp64"), "F32": ("fp32", "fp32"), "F16": ("fp16", "fp16"), "BF16": ("bf16", "bf16")}
_PACKED = {"F8_E4M3": ("fp8_e4m3", "fp8"), "F8_E5M2": ("fp8_e5m2", "fp8 e5m2"), "I8": ("int8", "int8")}

_PRECISION_WORDS = re.compile(
    r"fp8|e4m3fn|e4m3|e5m2|scaled|fp16|fp32|bf16|f16|f32|float16|bfloat16|i?q[2-8](?:[01]|k)?(?:[slm])?|"
    r"mixed|diffusers|comfy|repackaged|gguf|kj|module"
)
_OTHER_GENERATION = "wan22"

Fits = Callable[[Mapping[str, Shape], ModelSpec], bool]
"""Whether tensors have the sizes of a model's part."""

# Role -> what the name of a file has in it that may stand in for the official one; sizes must fit besides
_MARKS: dict[Role, tuple[str, ...]] = {
    Role.TEXT_ENCODER: ("umt5",),
    Role.VAE: ("wanvae", "wan21vae"),
    Role.IMAGE_ENCODER: ("clipvisionh", "xlmroberta"),
}


@dataclass(frozen=True)
class FoundFile:
    """A checkpoint on the disk.

    Attributes:
        name: how a request names it: its place within the folder that was searched, with slashes.
        files: what a loader opens: one file, an index, or numbered shards.
        size: in bytes, shards included.
        what: a phrase for the list, such as "a Wan t2v transformer, 14.29 B parameters, 40 layers".
        role: the part of a model that it is; None if it is none that the studio runs.
        models: ids of the catalog's rows whose sizes it has, in the catalog's order.
        scheme: how most of its weights are kept, an id of ``SCHEMES``; empty if unknown.
        precision: the same, as people call it: "fp16", "fp8 scaled", "GGUF Q4_K".
        is_module: a VACE module, which runs only together with a text-to-video model.
        is_tiny_decoder: it makes previews; whose latents it is for, its name alone tells.
        problem: why it cannot be used, in a sentence.
    """

    name: str
    files: tuple[Path, ...]
    size: int
    what: str = ""
    role: Role | None = None
    models: tuple[str, ...] = ()
    scheme: str = ""
    precision: str = ""
    is_module: bool = False
    is_tiny_decoder: bool = False
    problem: str = ""

    @property
    def words(self) -> str:
        """What it calls itself, in letters and digits alone; where that is generic, what its folder does."""
        path = self.files[0]
        own = stem(path.name.removesuffix(INDEX_SUFFIX)).rpartition(".")[0]
        folders = [*reversed(self.name.split("/")[:-1]), *(parent.name for parent in [*path.parents][:3])]
        return _squash(next((part for part in (own, *folders) if part.lower() not in GENERIC), ""))

    def stands_for(self, spec: ModelSpec, role: Role) -> bool:
        """Whether it may be used for a part of ``spec`` without being asked for by name.

        Sizes alone do not tell a model from one that somebody trained further, so a transformer must bear
        the official name and nothing besides but words for its precision; other parts, their usual names.
        """
        fits = self.role is role and split(spec.id)[0] in self.models
        if not fits or self.is_module:
            return False
        if role is not Role.TRANSFORMER:
            marked = any(mark in self.words for mark in _MARKS.get(role, ()))
            return marked or _is_in_diffusers_folder(self.name)
        left = self.words
        for word in _model_words(spec):
            if word not in left:
                return False
            left = left.replace(word, "", 1)
        return not _PRECISION_WORDS.sub("", left)

    def likeness(self, spec: ModelSpec) -> int:
        """How many words of a model's name are in its own."""
        return sum(word in self.words for word in _model_words(spec))


def describe(name: str, files: Sequence[Path]) -> FoundFile:
    """What a checkpoint is; what cannot be read has a ``problem``."""
    found = FoundFile(name, tuple(files), 0)
    try:
        entries = read_entries(files[0].parent, [str(path) for path in files])
        size = sum(path.stat().st_size for path in all_paths(files))
    except (WeightsError, OSError) as error:
        return FoundFile(name, tuple(files), 0, problem=str(error))
    shapes = {key: entry.shape for key, entry in entries.items() if not key.endswith(SCALE)}
    scheme, precision = _precision(entries)
    if _OTHER_GENERATION in found.words:
        return FoundFile(name, tuple(files), size, "a file of Wan2.2", None, (), scheme, precision)
    role, models = _fitting(shapes)
    module = role is Role.TRANSFORMER and dit_checkpoint.is_vace_module(shapes)
    what, tiny = looks_like(shapes), role is None and is_tiny_decoder(shapes)
    return FoundFile(name, tuple(files), size, what, role, models, scheme, precision, module, tiny)


def all_paths(files: Sequence[Path]) -> list[Path]:
    """The files with the shards of every index.

    Raises:
        WeightsError: an index is damaged.
    """
    return [Path(path) for path in expand(files[0].parent, [str(path) for path in files])]


def _fitting(shapes: Mapping[str, Shape]) -> tuple[Role | None, tuple[str, ...]]:
    """The part that these tensors are, and the models whose sizes they have."""
    for role, is_it, fits in _TELLS:
        if is_it(shapes):
            return role, tuple(spec.id for spec in _rows(role) if _holds(fits, shapes, spec))
    return None, ()


def _holds(fits: Fits, shapes: Mapping[str, Shape], spec: ModelSpec) -> bool:
    try:
        return fits(shapes, spec)
    except (WeightsError, ValueError, KeyError, IndexError, ZeroDivisionError, TypeError):
        return False  # incomplete or damaged: the loader says how


def _rows(role: Role) -> Iterator[ModelSpec]:
    return (spec for spec in MODELS.values() if role in spec.weights)


def _fits_transformer(shapes: Mapping[str, Shape], spec: ModelSpec) -> bool:
    dit = spec.dit
    if dit_checkpoint.is_vace_module(shapes):
        blocks = {name.split(".")[1] for name in shapes if name.startswith("vace_blocks.")}
        patch = shapes["vace_patch_embedding.weight"]
        return (dit.dim, dit.vace_in_dim, len(dit.vace_layers)) == (*patch[:2], len(blocks))
    if dit_checkpoint.find_kind(shapes) != dit.kind:
        return False
    layers = dit.vace_layers or None
    return dit_checkpoint.infer_config(shapes, dit.num_heads, dit.text_len, layers) == dit


_TELLS: tuple[tuple[Role, Callable[[Mapping[str, Shape]], bool], Fits], ...] = (
    (
        Role.TRANSFORMER,
        lambda shapes: dit_checkpoint.find_kind(shapes) is not None,
        _fits_transformer,
    ),
    (
        Role.VAE,
        vae_checkpoint.is_vae,
        lambda shapes, spec: vae_checkpoint.infer_config(shapes) == spec.vae,
    ),
    (
        Role.TEXT_ENCODER,
        umt5_checkpoint.is_umt5,
        lambda shapes, spec: umt5_checkpoint.infer_config(shapes) == spec.text_encoder,
    ),
    (
        Role.IMAGE_ENCODER,
        clip_checkpoint.is_clip,
        lambda shapes, spec: (
            clip_checkpoint.infer_config(shapes, spec.image_encoder.num_heads) == spec.image_encoder
        ),
    ),
    (
        Role.MOTION_CONTROLLER,
        dit_checkpoint.is_motion_controller,
        lambda shapes, spec: dit_checkpoint.infer_motion_config(shapes) == MotionConfig(spec.dit.dim),
    ),
)


def _precision(entries: Mapping[str, TensorEntry]) -> tuple[str, str]:
    """Scheme and name of how most numbers of matrices and kernels are kept."""
    numbers: Counter[str] = Counter()
    for name, entry in entries.items():
        if len(entry.shape) >= 2 and not name.endswith(SCALE):
            numbers[entry.dtype] += math.prod(entry.shape)
    if not numbers:
        return "", ""
    word = numbers.most_common(1)[0][0]
    if word == "F8_E4M3" and any(name.endswith(SCALE) for name in entries):
        return "fp8_scaled", "fp8 scaled"
    return (_PLAIN | _PACKED).get(word) or (f"gguf_{word.lower()}", f"GGUF {word}")


def _is_in_diffusers_folder(name: str) -> bool:
    """Whether it is a part's folder of a Wan2.1 repository in the diffusers format."""
    *folders, _ = name.split("/")
    of_part = bool(folders) and folders[-1] in ("text_encoder", "vae", "image_encoder")
    return of_part and any("wan21" in _squash(folder) for folder in folders)


def _model_words(spec: ModelSpec) -> list[str]:
    """ "Wan-AI/Wan2.1-T2V-14B" -> wan21, t2v, 14b."""
    repo = spec.weights[Role.TRANSFORMER].repo or spec.repo or spec.id
    return [_squash(word) for word in repo.rsplit("/", 1)[-1].split("-")]


def _squash(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
