"""Every damaged, foreign or hostile checkpoint is refused in a sentence that names it."""

from __future__ import annotations

import json
import os
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from wan_core.manager.checkpoint_file import open_checkpoint
from wan_core.manager.headers import entry as header_entry
from wan_core.manager.headers import read_header
from wan_core.schema import WeightsError


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>Sign in</html>", "is a web page that was saved instead"),
        (b"\n <HTML>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "is a Git LFS pointer"),
        (b"GGUF\x03\x00\x00\x00", "has a damaged header"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", r"is a \.pth in the format before PyTorch 1\.6"),
        (b"random bytes", "is neither a safetensors, a GGUF nor a PyTorch file"),
        (b"PK\x03\x04 and nothing else", "is cut short or damaged|under a wrong name"),
    ],
)
@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_what_is_no_checkpoint_is_named(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=sentence) as caught:
        open_checkpoint(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    with pytest.raises(WeightsError, match="is missing; download"):
        open_checkpoint(tmp_path / "nowhere.pth")


def raw_safetensors(header: object, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape: list, offsets: list, dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("header", "data", "sentence"),
    [
        ({"a": entry([2], [0, 8])}, b"1234", "is cut short: 4 of 8 bytes"),
        ({"a": entry([1], [0, 4])}, b"12345678", "4 bytes more than its header lists"),
        ({"a": entry([2], [0, 4])}, b"1234", "differs from its shape's"),
        ({"a": entry([0, 2**60], [0, 0])}, b"", "impossible shape"),
        ({"a": entry([0], [0, 4])}, b"1234", "differs from its shape's"),
        ({"a": entry([-1], [0, -4])}, b"", "impossible shape"),
        ({"a": entry([1.0], [0, 4])}, b"1234", "impossible shape"),
        ({"a": entry([True], [0, 4])}, b"1234", "impossible shape"),
        ({"a": entry([1], [4, 8])}, b"12345678", "a does not follow on"),
        ({"a": entry([1], [0, 4]), "b": entry([1], [0, 4])}, b"1234", "b does not follow on"),
        ({"a": entry([1] * 9, [0, 4])}, b"1234", "impossible shape"),
        (
            {"a": entry([4], [0, 4], "F4")},
            b"1234",
            r"m\.safetensors keeps a as F4, which the studio does not read; use a file",
        ),
        ({"a": {"shape": [1]}}, b"1234", "damaged header"),
        ({"a": 1}, b"", "damaged header"),
        (b'{"a": ' + b"[" * 100_000, b"", "damaged header"),
        (b"{not json", b"", "damaged header"),
        ({str(n): entry([1], [0, 4]) for n in range(20_001)}, b"", "lists 20001 tensors"),
    ],
)
def test_a_lying_safetensors_header_is_refused(tmp_path, header, data, sentence):
    path = tmp_path / "m.safetensors"
    path.write_bytes(raw_safetensors(header, data))
    with pytest.raises(WeightsError, match=sentence):
        read_header(path)
    with pytest.raises(WeightsError, match=sentence):
        open_checkpoint(path)


@pytest.mark.parametrize(
    ("mark", "kept"),
    [
        ('{"format": "float8_e4m3fn", "full_precision_matrix_mult": true}', None),
        ('{"format": "int8_tensorwise", "convrot": true, "convrot_groupsize": 256}', "rotated int8"),
        ('{"format": "mxfp8"}', "mxfp8"),
        ('{"format": ["float8_e4m3fn"]}', r"\['float8_e4m3fn'\]"),
        ("{", "an unknown format"),
        ("[" * 5000, "an unknown format"),
    ],
)
def test_comfyuis_marks_tell_what_dtypes_do_not(tmp_path, mark, kept):
    path, layer = tmp_path / "m.safetensors", "blocks.0.ffn.0"
    tensors = {f"{layer}.weight": torch.zeros(4, 4, dtype=torch.int8)}
    save_file(tensors | {f"{layer}.comfy_quant": torch.tensor([*mark.encode()], dtype=torch.uint8)}, path)
    if kept is None:
        assert f"{layer}.weight" in open_checkpoint(path)
        return
    sentence = rf"keeps {layer} as {kept}, which the studio does not read; use a file in fp8"
    for read in (read_header, open_checkpoint):
        with pytest.raises(WeightsError, match=sentence):
            read(path)


def test_a_giant_header_is_refused_unread(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(struct.pack("<Q", 2**40) + b"{}")
    with pytest.raises(WeightsError, match="a header of 1099511627776 bytes"):
        open_checkpoint(path)
    path.write_bytes(struct.pack("<Q", 1000) + b"{}")
    with pytest.raises(WeightsError, match="cut short within its header"):
        open_checkpoint(path)


class Payload:
    """Runs a command when it is unpickled by a careless loader."""

    def __init__(self, marker: Path) -> None:
        self._command = f"touch {marker}"

    def __reduce__(self) -> tuple:
        return os.system, (self._command,)


@pytest.mark.parametrize("wrap", [lambda p: p, lambda p: {"w": p}, lambda p: {"w": torch.ones(2), "x": [p]}])
@pytest.mark.parametrize(
    ("name", "sentence"),
    [("m.pth", "possibly code that would run, and is not opened"), ("m.safetensors", "under a wrong name")],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_is_never_run(tmp_path, wrap, name, sentence, legacy):
    payload = wrap(Payload(tmp_path / "marker"))
    torch.save(payload, tmp_path / name, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match=r"before PyTorch 1\.6" if legacy else sentence):
        open_checkpoint(tmp_path / name)
    assert not (tmp_path / "marker").exists()


def test_tensors_that_claim_more_than_the_file_has_are_refused(tmp_path):
    path = tmp_path / "m.pth"
    torch.save({"w": torch.zeros(1).as_strided((2**30, 2**19), (0, 0))}, path)
    assert path.stat().st_size < 4096
    with pytest.raises(WeightsError, match=r"claims 2251799813685248 bytes of tensors but has only 4"):
        open_checkpoint(path)
    torch.save({"w": torch.empty(2**40, 2**10, device="meta")}, path)
    with pytest.raises(
        WeightsError, match=r"possibly code that would run, and is not opened \(torch\._utils\._rebuild_meta"
    ):
        open_checkpoint(path)


def rewrite(path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in records.items():
            archive.writestr(name, change(name, data))


def test_a_pth_whose_records_were_cut_is_refused(tmp_path):
    path = tmp_path / "m.pth"
    torch.save({"w": torch.arange(100.0)}, path)
    rewrite(path, lambda name, data: data[:8] if name.endswith("data/0") else data)
    with pytest.raises(WeightsError, match="claims 400 bytes of tensors but has only 8"):
        open_checkpoint(path)


def test_a_compressed_pth_is_refused_before_it_unfolds(tmp_path):
    path = tmp_path / "m.pth"
    torch.save({"w": torch.zeros(1000)}, path)
    rewrite(path, lambda name, data: data, zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match="is compressed"):
        open_checkpoint(path)


def test_a_pth_with_a_giant_table_is_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "m.pth"
    torch.save({"w": torch.zeros(1)}, path)
    monkeypatch.setattr(header_entry, "MAX_TABLE_BYTES", 10)
    with pytest.raises(WeightsError, match="has a table of"):
        open_checkpoint(path)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_of_either_format_is_refused(both_formats, keep):
    for path in both_formats:
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * keep)])
        with pytest.raises(WeightsError, match=r"is cut short"):
            open_checkpoint(path)


def test_damaged_bytes_never_do_more_than_raise_the_sentence(both_formats):
    rng = random.Random(0)
    refused = 0
    for path in both_formats:
        whole = path.read_bytes()
        for _ in range(300):
            data = bytearray(whole)
            for _ in range(rng.choice((1, 2, 8))):
                data[rng.randrange(len(data))] = rng.randrange(256)
            path.write_bytes(data)
            try:
                open_checkpoint(path)
            except WeightsError as error:
                assert str(path) in str(error)
                refused += 1
    assert refused > 200


@pytest.fixture
def both_formats(tmp_path: Path) -> tuple[Path, Path]:
    """The same tensors as a safetensors file and as a .pth."""
    state = {f"blocks.{n}.weight": torch.ones(3, 5) for n in range(6)}
    save_file(state, tmp_path / "m.safetensors")
    torch.save(state, tmp_path / "m.pth")
    return tmp_path / "m.safetensors", tmp_path / "m.pth"


@pytest.mark.parametrize(
    "state",
    [
        [torch.ones(1)],
        {},
        {"model": {"w": torch.ones(1)}},
        {1: torch.ones(1)},
        {"step": 3},
        {"w": torch.ones(1, dtype=torch.int64)},
    ],
)
def test_what_is_no_flat_dictionary_of_float_tensors_is_refused(tmp_path, state):
    torch.save(state, tmp_path / "m.pth")
    with pytest.raises(
        WeightsError, match=r"m\.pth (holds no tensors|holds more than tensors by name|has w as torch\.int64)"
    ):
        open_checkpoint(tmp_path / "m.pth")


def test_a_folder_under_the_files_name_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    path.mkdir()
    with pytest.raises(WeightsError, match="cannot be read"):
        open_checkpoint(path)
