"""Turns checkpoint files into models: built without memory, filled from memory-mapped files, strictly."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from transformers import UMT5EncoderModel

from wan_core.manager.headers import TensorEntry
from wan_core.manager.part_files import OnBytes, PartFiles
from wan_core.manager.recognise import Shapes, read_entries
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
from wan_core.quantization.prepare import is_block_matrix, is_table
from wan_core.schema import WeightsError
from wan_core.schema.dialect import SCALE
from wan_core.schema.schemes import SCHEMES

_PLAIN_ENTRIES = ("F64", "F32", "F16", "BF16")
_MAX_CONFIG_BYTES = 2**16
_TOLD_BY_CONFIG = ("num_heads", "text_len", "vace_layers")  # of a DiT, what no tensor's shape shows


def cast_bytes(
    folder: Path,
    files: Iterable[str],
    dtype: torch.dtype | None,
    keep_in_fp32: Callable[[str], bool],
    select: Callable[[Shapes], Shapes] = dict,
    scheme: str | None = None,
) -> int:
    """Bytes of a part's tensors once they are loaded; only headers are read.

    Args:
        folder: where ``files`` are.
        files: as of the loaders.
        dtype: of plain tensors; None is the file's own.
        keep_in_fp32: whether a name's tensor is float32 whatever the dtype.
        select: leaves out tensors that are not loaded.
        scheme: as of the loaders.

    Raises:
        WeightsError: as ``read_entries``.
    """
    entries = read_entries(folder, files)
    shapes = {name: entry.shape for name, entry in entries.items() if not name.endswith(SCALE)}
    total = sum(entry.nbytes for name, entry in entries.items() if name.endswith(SCALE))
    for name in select(shapes):
        item = 4 if keep_in_fp32(name) else dtype and dtype.itemsize
        total += _loaded_bytes(name, entries[name], item, scheme)
    return total


def _loaded_bytes(name: str, entry: TensorEntry, item: int | None, scheme: str | None) -> int:
    """Of one tensor, with ``item`` bytes a number where it is plain; None is as in the file."""
    stored = entry.dtype not in _PLAIN_ENTRIES
    unpacked = scheme is not None and SCHEMES[scheme].plain
    if stored and not unpacked and (is_table(name) or is_block_matrix(name, entry.shape)):
        return entry.nbytes
    if scheme and not unpacked and is_block_matrix(name, entry.shape):
        return SCHEMES[scheme].nbytes(entry.shape)
    if item is None:
        return 2 * math.prod(entry.shape) if stored else entry.nbytes
    return item * math.prod(entry.shape)


def load_transformer(
    folder: Path,
    files: Iterable[str],
    dtype: torch.dtype | None = None,
    expected: DiTConfig | None = None,
    on_bytes: OnBytes | None = None,
    scheme: str | None = None,
) -> WanDiT:
    """A DiT of any kind, its sizes read from its tensors and from ``config.json`` beside them.

    Args:
        folder: where ``files`` are.
        files: one checkpoint, or the index of its shards.
        dtype: of the weights that ``WanDiT.keep_in_fp32`` does not name; ``None`` is that of the file's
            ``patch_embedding``, since a VACE file may hold its two halves in different ones.
        expected: the kind and sizes it must have, if any will not do.
        on_bytes: told of the progress.
        scheme: how the matrices of its blocks are kept, an id of ``SCHEMES``; None is as in the file.

    Raises:
        WeightsError: a file is missing, damaged, or of another model; says of which.
    """
    part = PartFiles(
        folder, tuple(files), f"a Wan {expected.kind} transformer" if expected else "a Wan transformer"
    )
    kind = dit_checkpoint.find_kind(part.shapes)
    alone = dit_checkpoint.is_vace_module(part.shapes)
    if kind is None or alone or (expected and kind != expected.kind):
        raise part.is_another(part.wanted)
    told = {name: getattr(expected, name, None) for name in _TOLD_BY_CONFIG}
    told |= _read_config(part.path.parent)
    config = part.infer(lambda shapes: dit_checkpoint.infer_config(shapes, **told))
    part.compare(config, expected)
    dtype = dtype or part.dtype("patch_embedding.weight")
    with torch.device("meta"):
        model = WanDiT(config)
    return part.fill(
        model, lambda name: torch.float32 if WanDiT.keep_in_fp32(name) else dtype, on_bytes, scheme=scheme
    )


def load_vae(
    folder: Path,
    files: Iterable[str],
    dtype: torch.dtype | None = None,
    expected: VAEConfig | None = None,
    on_bytes: OnBytes | None = None,
) -> WanVAE:
    """A VAE, its sizes read from its tensors; arguments and errors as ``load_transformer``."""
    part = PartFiles(folder, tuple(files), "a Wan VAE")
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
    scheme: str | None = None,
) -> UMT5EncoderModel:
    """A umT5 encoder, its sizes read from its tensors; arguments and errors as ``load_transformer``."""
    part = PartFiles(folder, tuple(files), "a umT5 text encoder")
    if not umt5_checkpoint.is_umt5(part.shapes):
        raise part.is_another(part.wanted)
    config = part.infer(umt5_checkpoint.infer_config)
    part.compare(config, expected)
    with torch.device("meta"):
        model = build_encoder(config)
    if part.is_quantised:  # its plain tensors may be of several dtypes; one of them is computed in
        dtype = dtype or torch.bfloat16
    return part.fill(model, lambda name: dtype, on_bytes, umt5_checkpoint.to_transformers_keys, scheme)


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
    part = PartFiles(folder, tuple(files), "a CLIP image encoder")
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
    part = PartFiles(folder, tuple(files), "a motion controller")
    if not dit_checkpoint.is_motion_controller(part.shapes):
        raise part.is_another(part.wanted)
    config = part.infer(dit_checkpoint.infer_motion_config)
    part.compare(config, expected)
    with torch.device("meta"):
        model = MotionController(config)
    return part.fill(model, lambda name: dtype, on_bytes)


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
        content.setdefault("num_heads", content.get("num_attention_heads"))  # in the diffusers format
        told = {name: content[name] for name in _TOLD_BY_CONFIG if content.get(name) is not None}
        for name, value in told.items():
            numbers, least = (value, 0) if name == "vace_layers" else ([value], 1)
            if not all(type(number) is int and number >= least for number in numbers):
                raise ValueError(f"{name}={str(value)[:20]}")
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path} is damaged ({error}); download the model again.") from error
    return told
