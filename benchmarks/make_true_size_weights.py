"""Writes random weights with the names, shapes, types and files of an official model.

    python -m benchmarks.make_true_size_weights ~/.wan-studio/models/Wan2.1-T2V-1.3B

Loading, swapping and generating can then be measured at true size where the real weights cannot be
had; the pictures are noise. Files are written piece by piece, so little memory is needed.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import mmap
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode

from wan_core.catalog import DEMO_FOLDER, ModelSpec, Role, find_model
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.checkpoint import to_official_keys
from wan_core.models.umt5.model import build_encoder
from wan_core.models.vae.model import WanVAE
from wan_core.schema import WeightsError

log = logging.getLogger("make_true_size_weights")

_SAFETENSORS_TYPES = {torch.float32: "F32", torch.bfloat16: "BF16"}
_TRANSFORMER_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_POOL_ELEMENTS = 2**24
_SHARD_BYTES = 10 * 10**9
_DISK_RESERVE = 0.1

Shapes = Mapping[str, tuple[int, ...]]


class Noise:
    """Normal random numbers, drawn once and repeated from another place for each piece of a tensor."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._pool = torch.randn(_POOL_ELEMENTS, generator=self._generator)

    def pieces(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Iterator[Tensor]:
        """The values of a tensor, flat: ones for norms, zeros for biases, else scaled by its inputs."""
        left = math.prod(shape)
        while left:
            count = min(left, _POOL_ELEMENTS // 2)
            if name.endswith("bias"):
                yield torch.zeros(count, dtype=dtype)
            elif name.endswith("gamma") or "norm" in name:
                yield torch.ones(count, dtype=dtype)
            else:
                first = int(torch.randint(_POOL_ELEMENTS - count, (1,), generator=self._generator))
                scale = (math.prod(shape) / shape[0]) ** -0.5
                yield (self._pool[first : first + count] * scale).to(dtype)
            left -= count


def shapes_of(build: Callable[[], torch.nn.Module]) -> Shapes:
    """Name -> shape of a model's tensors; the model takes no memory."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in build().state_dict().items()}


def write_safetensors(path: Path, shapes: Shapes, dtype: torch.dtype, noise: Noise) -> None:
    """One file, tensor after tensor."""
    header, end = {}, 0
    for name, shape in shapes.items():
        first, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {
            "dtype": _SAFETENSORS_TYPES[dtype],
            "shape": shape,
            "data_offsets": [first, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shapes.items():
            for piece in noise.pieces(name, shape, dtype):
                file.write(piece.view(torch.uint8).numpy().data)


def write_shards(index: Path, shapes: Shapes, dtype: torch.dtype, noise: Noise) -> None:
    """Files of at most 10 GB, and the index that names them."""
    shards: list[dict[str, tuple[int, ...]]] = [{}]
    room = _SHARD_BYTES
    for name, shape in shapes.items():
        size = math.prod(shape) * dtype.itemsize
        if size > room:
            shards.append({})
            room = _SHARD_BYTES
        shards[-1][name] = shape
        room -= size
    weight_map = {}
    stem = index.name.removesuffix(".safetensors.index.json")
    for number, shard in enumerate(shards, 1):
        name = f"{stem}-{number:05}-of-{len(shards):05}.safetensors"
        write_safetensors(index.parent / name, shard, dtype, noise)
        weight_map |= dict.fromkeys(shard, name)
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def write_pth(path: Path, shapes: Shapes, dtype: torch.dtype, noise: Noise) -> None:
    """The table first, with room for the tensors, which are then written through a shared mapping.

    The archive's checksums stay those of the empty room; a mapped file is read without them.
    """
    with FakeTensorMode():
        state = {name: torch.empty(shape, dtype=dtype) for name, shape in shapes.items()}
    with torch.serialization.skip_data(materialize_fake_tensors=True):
        torch.save(state, path)
    with torch.serialization.set_default_mmap_options(mmap.MAP_SHARED):
        room = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    for name, shape in shapes.items():
        flat, first = room[name].view(-1), 0
        for piece in noise.pieces(name, shape, dtype):
            flat[first : first + len(piece)].copy_(piece)
            first += len(piece)


def write_config(folder: Path, spec: ModelSpec) -> None:
    """``config.json`` with the entries of the official one."""
    dit = spec.dit
    entries = {
        "_class_name": "WanModel",
        "model_type": "t2v",
        "dim": dit.dim,
        "ffn_dim": dit.ffn_dim,
        "num_heads": dit.num_heads,
        "num_layers": dit.num_layers,
        "in_dim": dit.in_dim,
        "out_dim": dit.out_dim,
        "freq_dim": dit.freq_dim,
        "text_len": dit.text_len,
        "eps": dit.eps,
    }
    (folder / "config.json").write_text(json.dumps(entries, indent=2))


def copy_tokenizer(folder: Path, spec: ModelSpec) -> None:
    """The demo's tokenizer: its token ids are a part of the official ones' range.

    Raises:
        WeightsError: the demo model is not there.
    """
    for name in spec.tokenizer.files:
        source = DEMO_FOLDER / name
        if source.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)
    if not any((folder / name).is_file() for name in spec.tokenizer.files):
        raise WeightsError(f"The demo's tokenizer is not in {DEMO_FOLDER}; build the demo model first.")


def make(folder: Path, spec: ModelSpec, transformer_type: torch.dtype, seed: int = 0) -> None:
    """Write every file of ``spec`` to ``folder``.

    Raises:
        WeightsError: the disk has too little room, or there is no tokenizer to copy.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free, needed = shutil.disk_usage(folder).free, spec.download_bytes
    if needed * (1 + _DISK_RESERVE) > free:
        raise WeightsError(
            f"{folder} has {free / 1e9:.1f} GB free; {needed / 1e9:.1f} GB and a tenth are needed."
        )
    noise = Noise(seed)
    copy_tokenizer(folder, spec)
    write_config(folder, spec)
    [name] = spec.weights[Role.TRANSFORMER].files
    log.info("Writing %s", name)
    write = write_shards if name.endswith(".index.json") else write_safetensors
    write(folder / name, shapes_of(lambda: WanDiT(spec.dit)), transformer_type, noise)
    [name] = spec.weights[Role.TEXT_ENCODER].files
    log.info("Writing %s", name)
    encoder = to_official_keys(shapes_of(lambda: build_encoder(spec.text_encoder)))
    write_pth(folder / name, encoder, torch.bfloat16, noise)
    [name] = spec.weights[Role.VAE].files
    log.info("Writing %s", name)
    write_pth(folder / name, shapes_of(lambda: WanVAE(spec.vae)), torch.float32, noise)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="the model's folder, named as its repository")
    parser.add_argument("--model", default="wan2.1-t2v-1.3b", help="a model of the catalog")
    parser.add_argument("--dtype", choices=_TRANSFORMER_TYPES, default="fp32", help="of the transformer")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    make(options.folder, find_model(options.model), _TRANSFORMER_TYPES[options.dtype], options.seed)


if __name__ == "__main__":
    main()
