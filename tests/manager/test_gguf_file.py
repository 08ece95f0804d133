"""GGUF files: against the ``gguf`` package, which writes and unpacks them, and hostile ones."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.quantization.test_gguf_blocks import random_blocks
from wan_core.manager.gguf_file import open_gguf
from wan_core.quantization.gguf_blocks import UNPACK_BLOCKS
from wan_core.quantization.stored import StoredTensor
from wan_core.schema import WeightsError

gguf = pytest.importorskip("gguf")

Packed = tuple[np.ndarray, str]  # rows of bytes, and their type


def write_gguf(
    path: Path,
    plain: Mapping[str, np.ndarray],
    packed: Mapping[str, Packed] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    architecture: str = "wan",
) -> Path:
    """A GGUF file with these tensors; ``shapes`` are noted as ComfyUI's packer does."""
    writer = gguf.GGUFWriter(path, architecture)
    for name, shape in (shapes or {}).items():
        writer.add_array(f"comfy.gguf.orig_shape.{name}", list(shape))
    for name, array in plain.items():
        writer.add_tensor(name, array)
    for name, (rows, type_name) in (packed or {}).items():
        writer.add_tensor(name, rows, raw_dtype=gguf.GGMLQuantizationType[type_name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("name", UNPACK_BLOCKS)
def test_packed_tensors_stay_packed_and_unpack_exactly(tmp_path: Path, name: str) -> None:
    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
    rows = random_blocks(name, 6).reshape(3, 2 * size)
    found = open_gguf(write_gguf(tmp_path / "a.gguf", {}, {"w": (rows, name)}))["w"]
    assert isinstance(found, StoredTensor)
    assert (found.scheme, found.shape) == (f"gguf_{name.lower()}", (3, 2 * block))
    assert (tuple(found.packed.shape), found.nbytes) == ((3, 2 * size), rows.nbytes)
    expected = gguf.dequantize(rows, gguf.GGMLQuantizationType[name])
    assert np.array_equal(found.unpack(torch.float32).numpy(), expected)
    assert found.unpack(torch.bfloat16).dtype == torch.bfloat16


def test_plain_tensors_are_mapped_as_they_are(tmp_path: Path) -> None:
    weight = np.arange(12, dtype=np.float32).reshape(3, 4)
    plain = {"a": weight, "b": weight.astype(np.float16), "c": np.ones(5, np.float32)}
    brain = torch.from_numpy(weight).bfloat16()
    packed = {"d": (brain.view(torch.uint8).numpy(), "BF16")}
    found = open_gguf(write_gguf(tmp_path / "a.gguf", plain, packed))
    assert {name: (t.dtype, tuple(t.shape)) for name, t in found.items()} == {
        "a": (torch.float32, (3, 4)),
        "b": (torch.float16, (3, 4)),
        "c": (torch.float32, (5,)),
        "d": (torch.bfloat16, (3, 4)),
    }
    assert torch.equal(found["a"], torch.from_numpy(weight))
    assert torch.equal(found["d"], brain)


def test_the_shape_that_the_packer_noted_is_the_one(tmp_path: Path) -> None:
    patch = np.random.default_rng(0).standard_normal((8, 64)).astype(np.float32)
    path = write_gguf(
        tmp_path / "a.gguf",
        {"patch_embedding.weight": patch},
        {"x": (random_blocks("Q8_0", 4).reshape(2, -1), "Q8_0")},
        {"patch_embedding.weight": (8, 16, 1, 2, 2), "x": (4, 2, 16)},
    )
    found = open_gguf(path)
    assert found["patch_embedding.weight"].shape == (8, 16, 1, 2, 2)
    assert torch.equal(found["patch_embedding.weight"].flatten(1), torch.from_numpy(patch))
    assert found["x"].shape == (4, 2, 16)
    assert found["x"].unpack(torch.float32).shape == (4, 2, 16)


def test_a_type_that_is_not_unpacked_is_refused_in_one_sentence(tmp_path: Path) -> None:
    rows = np.zeros((2, 66), np.uint8)
    path = write_gguf(tmp_path / "a.gguf", {}, {"blocks.0.ffn.0.weight": (rows, "IQ2_XXS")})
    with pytest.raises(WeightsError, match=r"keeps blocks.0.ffn.0.weight as IQ2_XXS, which .*; use a file"):
        open_gguf(path)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def line(name: str, *shape: int, kind: int = 0, offset: int = 0) -> bytes:
    sizes = b"".join(struct.pack("<Q", n) for n in shape)
    return text(name) + struct.pack("<I", len(shape)) + sizes + struct.pack("<IQ", kind, offset)


def hostile(
    pairs: bytes = b"", pair_count: int = 0, lines: bytes = b"", count: int = 0, data: int = 64
) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, count, pair_count) + pairs + lines
    return head + bytes(-len(head) % 32) + bytes(64)


LISTS = text("a") + struct.pack("<IIQ", 9, 9, 2**40)
HOSTILE = {
    "nothing but a promise": b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60),
    "old version": b"GGUF" + struct.pack("<III", 1, 1, 0) + bytes(64),
    "big endian": b"GGUF" + struct.pack(">IQQ", 3, 1, 0) + bytes(64),
    "more tensors than it has": hostile(lines=line("a", 4), count=5),
    "a text of many bytes": hostile(text("a") + struct.pack("<IQ", 8, 2**62), 1),
    "a name of many bytes": hostile(struct.pack("<Q", 2**63) + b"a", 1),
    "lists of lists": hostile(LISTS, 1),
    "a list of many numbers": hostile(text("a") + struct.pack("<IIQ", 9, 10, 2**61), 1),
    "a list of many texts": hostile(text("a") + struct.pack("<IIQ", 9, 8, 2**61), 1),
    "many empty texts": hostile(text("a") + struct.pack("<IIQ", 9, 8, 2**21) + bytes(2**24), 1),
    "a value of no type": hostile(text("a") + struct.pack("<I", 77), 1),
    "alignment 0": hostile(text("general.alignment") + struct.pack("<II", 4, 0), 1, line("a", 4), 1),
    "alignment 3": hostile(text("general.alignment") + struct.pack("<II", 4, 3), 1, line("a", 4), 1),
    "a tensor beyond the end": hostile(lines=line("a", 17), count=1),
    "a tensor that begins beyond the end": hostile(lines=line("a", 4, offset=2**40), count=1),
    "sizes that overflow": hostile(lines=line("a", 2**47, 2**47, 2**47), count=1),
    "an unknown type": hostile(lines=line("a", 4, kind=999), count=1),
    "many dimensions": hostile(lines=text("a") + struct.pack("<I", 2**31), count=1),
    "the same name twice": hostile(lines=line("a", 4) + line("a", 4, offset=32), count=2),
    "two tensors in one place": hostile(lines=line("a", 8) + line("b", 8, offset=16), count=2),
    "no numbers": hostile(lines=line("a", 0), count=1),
    "half a block": hostile(lines=line("a", 16, kind=8), count=1),
    "a tensor out of step": hostile(lines=line("a", 4, offset=1), count=1),
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.timeout(20)
def test_hostile_files_are_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(HOSTILE[what])
    with pytest.raises(WeightsError, match=r"a\.gguf"):
        open_gguf(path)


def test_the_hand_made_file_is_fine_where_it_does_not_lie(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(hostile(lines=line("a", 16), count=1))
    assert torch.equal(open_gguf(tmp_path / "a.gguf")["a"], torch.zeros(16))


@pytest.mark.parametrize("kept", range(0, 400, 7))
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, kept: int) -> None:
    whole = write_gguf(tmp_path / "whole.gguf", {"a": np.ones((8, 16), np.float32)}).read_bytes()
    (tmp_path / "a.gguf").write_bytes(whole[:kept])
    with pytest.raises(WeightsError):
        open_gguf(tmp_path / "a.gguf")
