"""Turns checkpoint files into models: built without memory, filled from memory-mapped files, strictly.

A tensor that has the wanted dtype stays in the file's pages: loading it takes no memory and no time, and
the operating system may drop and re-read it. Only what is cast is copied, one tensor at a time.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers import UMT5EncoderModel

from wan_core.manager.checkpoint_file import Shape, open_checkpoint, read_file_shapes
from wan_core.manager.shards import INDEX_SUFFIX, shard_names
from wan_core.models.clip import checkpoint as clip_checkpoint
from wan_core.models.clip.config import CLIPConfig
from wan_core.models.clip.model import CLIPImageEncoder
from wan_core.models.dit import checkpoint as dit_checkpoint
from wan_core.models.dit.config import DiTConfig, MotionConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.dit.motion import MotionController
from wan_core.models.umt5 import checkpoint as umt5_checkpoint
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.umt5.model import build_encoder
from wan_core.models.vae import checkpoint as vae_checkpoint
from wan_core.models.vae.config import VAEConfig
from wan_core.models.vae.model import WanVAE
from wan_core.schema import WeightsError

OnBytes = Callable[[int, int], None]
"""Called with (bytes done, bytes in all), ten times a second; what it raises ends the loading."""

Shapes = Mapping[str, Shape]
Model = TypeVar("Model", bound=nn.Module)

_MAX_CONFIG_BYTES = 2**16
_TOLD_BY_CONFIG = ("num_heads", "text_len", "vace_layers")  # of a DiT, what no tensor's shape shows
_TELL_SECONDS = 0.1


def read_shapes(folder: Path, files: Iterable[str]) -> dict[str, Shape]:
    """Name -> shape of every tensor of a part; an index stands for its shards.

    Raises:
        WeightsError: a file is missing, damaged or no checkpoint.
    """
    shapes: dict[str, Shape] = {}
    for path in _checkpoint_paths(folder, files):
        shapes |= read_file_shapes(path)
    return shapes


def cast_bytes(
    folder: Path,
    files: Iterable[str],
    dtype: torch.dtype | None,
    keep_in_fp32: Callable[[str], bool],
    select: Callable[[Shapes], Shapes] = dict,
) -> int:
    """Bytes of a part's tensors once they have ``dtype``, or float32 where their name says so.

    ``None`` is the file's own dtype: nothing is cast, and the files' size is the answer. ``select`` leaves
    out tensors that are not loaded. Only headers are read.

    Raises:
        WeightsError: as ``read_shapes``.
    """
    if dtype is None:
        return sum(path.stat().st_size for path in _checkpoint_paths(folder, files))
    return sum(
        math.prod(shape) * (torch.float32 if keep_in_fp32(name) else dtype).itemsize
        for name, shape in select(read_shapes(folder, files)).items()
    )


def load_transformer(
    folder: Path,
    files: Iterable[str],
    dtype: torch.dtype | None = None,
    expected: DiTConfig | None = None,
    on_bytes: OnBytes | None = None,
) -> WanDiT:
    """A DiT of any kind, its sizes read from its tensors and from ``config.json`` beside them.

    Args:
        folder: where ``files`` are.
        files: one checkpoint, or the index of its shards.
        dtype: of the weights that ``WanDiT.keep_in_fp32`` does not name; ``None`` is that of the file's
            ``patch_embedding``, since a VACE file may hold its two halves in different ones.
        expected: the kind and sizes it must have, if any will not do.
        on_bytes: told of the progress.

    Raises:
        WeightsError: a file is missing, damaged, or of another model; says of which.
    """
    part = _Part(
        folder, tuple(files), f"a Wan {expected.kind} transformer" if expected else "a Wan transformer"
    )
    kind = dit_checkpoint.find_kind(part.shapes)
    if kind is None or (expected and kind != expected.kind):
        raise part.is_another(part.wanted)
    told = {name: getattr(expected, name, None) for name in _TOLD_BY_CONFIG}
    told |= _read_config(part.path.parent)
    config = part.infer(lambda shapes: dit_checkpoint.infer_config(shapes, **told))
    part.compare(config, expected)
    dtype = dtype or part.dtype("patch_embedding.weight")
    with torch.device("meta"):
        model = WanDiT(config)
    return part.fill(model, lambda name: torch.float32 if WanDiT.keep_in_fp32(name) else dtype, on_bytes)


def load_vae(
    folder: Path,
    files: Iterable[str],
    dtype: torch.dtype | None = None,
    expected: VAEConfig | None = None,
    on_bytes: OnBytes | None = None,
) -> WanVAE:
    """A VAE, its sizes read from its tensors; arguments and errors as ``load_transformer``."""
    part = _Part(folder, tuple(files), "a Wan VAE")
    if not vae_checkpoint.is_vae(part.shapes):
        raise part.is_another(part.wanted)
    config = part.infer(vae_checkpoint.infer_config)
    part.compare(config, expected)
    with torch.device("meta"):
        model = WanVAE(config)
    return part.fill(model, lambda name: dtype, on_bytes)


def load_text_encoder(
    folder: Path,
    files: Iterable[str],
    dtype: torch.dtype | None = None,
    expected: UMT5Config | None = None,
    on_bytes: OnBytes | None = None,
) -> UMT5EncoderModel:
    """A umT5 encoder, its sizes read from its tensors; arguments and errors as ``load_transformer``."""
    part = _Part(folder, tuple(files), "a umT5 text encoder")
    if not umt5_checkpoint.is_umt5(part.shapes):
        raise part.is_another(part.wanted)
    config = part.infer(umt5_checkpoint.infer_config)
    part.compare(config, expected)
    with torch.device("meta"):
        model = build_encoder(config)
    return part.fill(model, lambda name: dtype, on_bytes, umt5_checkpoint.to_transformers_keys)


def load_image_encoder(
    folder: Path,
    files: Iterable[str],
    dtype: torch.dtype | None = None,
    expected: CLIPConfig | None = None,
    on_bytes: OnBytes | None = None,
) -> CLIPImageEncoder:
    """The CLIP image encoder; arguments and errors as ``load_transformer``.

    Of the official file only the ``visual.*`` tensors that run are read and strictly checked; its text
    half, its last block and its head stay on the disk.
    """
    part = _Part(folder, tuple(files), "a CLIP image encoder")
    if not clip_checkpoint.is_clip(part.shapes):
        raise part.is_another(part.wanted)
    heads = expected.num_heads if expected else None
    config = part.infer(lambda shapes: clip_checkpoint.infer_config(shapes, heads))
    part.compare(config, expected)
    part.keep(clip_checkpoint.select_used)
    with torch.device("meta"):
        model = CLIPImageEncoder(config)
    return part.fill(model, lambda name: dtype, on_bytes, clip_checkpoint.to_module_keys)


def load_motion_controller(
    folder: Path,
    files: Iterable[str],
    dtype: torch.dtype | None = None,
    expected: MotionConfig | None = None,
    on_bytes: OnBytes | None = None,
) -> MotionController:
    """A motion controller; arguments and errors as ``load_transformer``."""
    part = _Part(folder, tuple(files), "a motion controller")
    if not dit_checkpoint.is_motion_controller(part.shapes):
        raise part.is_another(part.wanted)
    config = part.infer(dit_checkpoint.infer_motion_config)
    part.compare(config, expected)
    with torch.device("meta"):
        model = MotionController(config)
    return part.fill(model, lambda name: dtype, on_bytes)


def looks_like(shapes: Shapes) -> str:
    """A phrase for what these tensors are, as far as their names tell."""
    if dit_checkpoint.find_kind(shapes):
        return f"a {dit_checkpoint.describe(shapes)}"
    if vae_checkpoint.is_vae(shapes):
        return f"a Wan VAE of width {shapes['encoder.conv1.weight'][0]}"
    if umt5_checkpoint.is_umt5(shapes):
        return f"a umT5 text encoder of width {shapes['token_embedding.weight'][-1]}"
    if dit_checkpoint.is_motion_controller(shapes):
        return "a motion controller"
    for mark, phrase in _OTHER_FILES:
        if any(mark in name for name in shapes):
            return phrase
    return f"an unknown model ({len(shapes)} tensors, the first is {next(iter(shapes), 'none')[:60]})"


# What occurs in a tensor's name -> what file it is in; the first that fits decides
_OTHER_FILES = (
    ("lora_", "a LoRA"),
    ("visual.transformer.", "a CLIP image encoder"),
    ("condition_embedder.", "a Wan transformer in the diffusers format"),
    ("model.diffusion_model.", "a Wan transformer repackaged for ComfyUI"),
    ("encoder.block.0.layer.0.SelfAttention", "a T5 encoder in the transformers format"),
    ("quant_conv.", "a VAE in the diffusers format"),
)


class _Part:
    """The opened files of one part of a model.

    Attributes:
        path: the file that errors name: the checkpoint, or the index.
        wanted: a phrase for what the files should be.
        shapes: name -> shape.
    """

    def __init__(self, folder: Path, files: tuple[str, ...], wanted: str) -> None:
        self.path = folder / files[0]
        self.wanted = wanted
        self._tensors: dict[str, Tensor] = {}
        for path in _checkpoint_paths(folder, files):
            self._tensors |= open_checkpoint(path)
        self.shapes: dict[str, Shape] = {name: tuple(t.shape) for name, t in self._tensors.items()}

    def dtype(self, name: str) -> torch.dtype:
        """The dtype of the tensor ``name``, as it is in the file."""
        return self._tensors[name].dtype

    def keep(self, select: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        """Forget the tensors that ``select`` leaves out."""
        self._tensors, self.shapes = select(self._tensors), select(self.shapes)

    def is_another(self, wanted: str) -> WeightsError:
        return WeightsError(
            f"{self.path} looks like {looks_like(self.shapes)}, not {wanted}; "
            "put the model's own file there, or download the model again."
        )

    def infer(self, infer_config: Callable[[Shapes], Any]) -> Any:
        """The sizes that the tensors tell; errors name the file."""
        try:
            return infer_config(self.shapes)
        except WeightsError as error:
            raise WeightsError(f"{self.path}: {error}") from error
        except (ValueError, KeyError, IndexError, ZeroDivisionError) as error:
            raise WeightsError(
                f"{self.path} is not the whole of {self.wanted} ({error}); download the model again."
            ) from error

    def compare(self, config: Any, expected: Any) -> None:
        """Refuse sizes other than ``expected``; ``None`` lets all pass."""
        if expected is None or config == expected:
            return
        found, wanted = dataclasses.asdict(config), dataclasses.asdict(expected)
        sizes = ", ".join(f"{name} {wanted[name]}" for name in wanted if wanted[name] != found[name])
        raise self.is_another(f"{self.wanted} with {sizes}")

    def fill(
        self,
        model: Model,
        dtype_of: Callable[[str], torch.dtype | None],
        on_bytes: OnBytes | None,
        rename: Callable[[Mapping[str, Any]], dict[str, Any]] = dict,
    ) -> Model:
        """Give ``model`` the tensors, cast to ``dtype_of`` their official names; ready for inference."""
        self._check_shapes(rename(self.shapes), model)
        total = sum(tensor.nbytes for tensor in self._tensors.values())
        done, told = 0, -math.inf
        for name, tensor in self._tensors.items():
            self._tensors[name] = tensor.to(dtype_of(name) or tensor.dtype)
            done += tensor.nbytes
            if on_bytes and (time.monotonic() - told > _TELL_SECONDS or done == total):
                told = time.monotonic()
                on_bytes(done, total)
        model.load_state_dict(rename(self._tensors), strict=True, assign=True)
        left = [name for name, t in chain(model.named_parameters(), model.named_buffers()) if t.is_meta]
        assert not left, f"these are in no checkpoint and must not be part of the module: {left}"
        return model.requires_grad_(False).eval()

    def _check_shapes(self, found: Shapes, model: nn.Module) -> None:
        wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        missing = sorted(wanted.keys() - found.keys())
        unknown = sorted(found.keys() - wanted.keys())
        wrong = [name for name in wanted if name in found and found[name] != wanted[name]]
        for problem, names in (("lacks", missing), ("also has", unknown), ("has other shapes for", wrong)):
            if not names:
                continue
            example = names[0][:80]
            if names is wrong:
                example += f" {list(found[names[0]])} instead of {list(wanted[names[0]])}"
            raise WeightsError(
                f"{self.path} looks like {looks_like(self.shapes)}, but {problem} {len(names)} tensors, "
                f"such as {example}; download the model again."
            )


def _checkpoint_paths(folder: Path, files: Iterable[str]) -> list[Path]:
    """The checkpoint files themselves: an index is replaced by its shards, in order.

    Raises:
        WeightsError: a file or a shard is missing, or an index is damaged.
    """
    paths = []
    for name in files:
        path = folder / name
        if not name.endswith(INDEX_SUFFIX):
            paths.append(path)
            continue
        if not path.is_file():
            raise WeightsError(f"{path} is missing; download the model again.")
        shards = shard_names(path)
        for number, shard in enumerate(shards, 1):
            if not (path.parent / shard).is_file():
                raise WeightsError(
                    f"{path.parent / shard}, shard {number} of {len(shards)}, is missing; "
                    "download the model again, which fetches only what is missing."
                )
        paths += [path.parent / shard for shard in shards]
    return paths


def _read_config(folder: Path) -> dict[str, int | list[int]]:
    """What the folder's ``config.json`` says of the sizes that shapes do not tell.

    Raises:
        WeightsError: the file is damaged.
    """
    path = folder / "config.json"
    if not path.is_file():
        return {}
    try:
        if path.stat().st_size > _MAX_CONFIG_BYTES:
            raise ValueError("it is too large")
        content = json.loads(path.read_bytes())
        told = {name: content[name] for name in _TOLD_BY_CONFIG if content.get(name) is not None}
        for name, value in told.items():
            numbers, least = (value, 0) if name == "vace_layers" else ([value], 1)
            if not all(type(number) is int and number >= least for number in numbers):
                raise ValueError(f"{name} is {str(value)[:20]}")
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path} is damaged ({error}); download the model again.") from error
    return told
