"""Checkpoints in safetensors and GGUF that lie, what is no checkpoint, shards, and LoRAs that do not fit."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from tests.faults.corpus.case import Case, Shelf

_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please log in.</body></html>"
_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9000000000\n"
_NO_WEIGHTS = {
    "a page": _PAGE,
    "a page in capitals": b"\n\n <HTML><BODY>404</BODY></HTML>",
    "xml": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "a pointer": _POINTER,
    "a sentence": b"Access to model is restricted. You must be authenticated.",
    "json": b'{"error": "Repository not found"}',
    "nothing": b"",
    "zeros": bytes(4096),
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "one byte": b"\x10",
}


def weights_cases(folder: Path) -> list[Case]:
    shelves = [Shelf(folder, door) for door in ("weights", "weights", "shards", "lora")]
    for shelf, fill in zip(shelves, (_safetensors, _gguf, _shards, _loras), strict=True):
        fill(shelf)
    shelf = shelves[0]
    for name, content in _NO_WEIGHTS.items():
        for end in ("safetensors", "pth", "gguf"):
            shelf.add(f"{name} as {end}", f"model.{end}", content)
    return [case for shelf in shelves for case in shelf.cases]


# -- safetensors ------------------------------------------------------------------------------------


def table(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file of this header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def line(shape: object, offsets: object, dtype: object = "F32") -> dict[str, object]:
    """A tensor's line of the header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


_FOUR = b"1234"
_LIES: dict[str, bytes] = {
    "cut short": table({"a": line([2], [0, 8])}, _FOUR),
    "too long": table({"a": line([1], [0, 4])}, _FOUR * 2),
    "a wrong size": table({"a": line([2], [0, 4])}, _FOUR),
    "a shape of nothing times much": table({"a": line([0, 2**60], [0, 0])}),
    "a negative shape": table({"a": line([-1], [0, -4])}),
    "a shape that overflows": table({"a": line([2**32, 2**32], [0, 0])}),
    "a shape of 2 to the 63": table({"a": line([2**63], [0, 2**65])}),
    "a broken number": table({"a": line([1.5], [0, 4])}, _FOUR),
    "a truth as a number": table({"a": line([True], [0, 4])}, _FOUR),
    "a number of 5000 digits": table(
        b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,4]}}'
    ),
    "infinity": table(b'{"a":{"dtype":"F32","shape":[Infinity],"data_offsets":[0,NaN]}}', _FOUR),
    "a gap": table({"a": line([1], [4, 8])}, _FOUR * 2),
    "two in one place": table({"a": line([1], [0, 4]), "b": line([1], [0, 4])}, _FOUR),
    "backwards": table({"a": line([1], [4, 0])}, _FOUR),
    "nine dimensions": table({"a": line([1] * 9, [0, 4])}, _FOUR),
    "an unknown type": table({"a": line([4], [0, 4], "F4")}, _FOUR),
    "a type that is a list": table({"a": line([4], [0, 4], ["F32"])}, _FOUR),
    "a type that is an object": table({"a": line([4], [0, 4], {"F32": 1})}, _FOUR),
    "no type": table({"a": {"shape": [1], "data_offsets": [0, 4]}}, _FOUR),
    "a shape that is a text": table({"a": line("1", [0, 4])}, _FOUR),
    "a shape that is an object": table({"a": line({"1": 1}, [0, 4])}, _FOUR),
    "three places": table({"a": line([1], [0, 4, 8])}, _FOUR),
    "no places": table({"a": line([1], None)}, _FOUR),
    "a line that is a number": table({"a": 1}),
    "a list": table([line([1], [0, 4])], _FOUR),
    "a text": table('"a"', _FOUR),
    "deep lists": table(b'{"a": ' + b"[" * 200_000),
    "deep objects": table(b'{"a":' * 200_000),
    "no json": table(b"{not json"),
    "no characters": table(b"{\xff\xfe\xfa"),
    "half a character": table(b'{"\\ud800": {"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', _FOUR),
    "a name twice": table(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        _FOUR,
    ),
    "20001 tensors": table({str(n): line([0], [0, 0]) for n in range(20_001)}),
    "a header of 9 mebibytes": table(b"{" + b" " * (9 * 2**20) + b"}"),
    "a header of a tebibyte": table(b"{}", length=2**40),
    "a header of all bytes": table(b"{}", length=2**64 - 1),
    "a header beyond the end": table(b"{}", length=1000),
    "metadata of a strange kind": table({"__metadata__": [1, 2], "a": line([2], [0, 8])}, _FOUR),
    "a mark that lies": table(
        {"x.weight": line([4], [0, 4], "I8"), "x.comfy_quant": line([5000], [4, 5004], "U8")},
        _FOUR + b"[" * 5000,
    ),
}


def _safetensors(shelf: Shelf) -> None:
    for name, content in _LIES.items():
        refused = name not in ("half a character",)
        shelf.add(f"safetensors {name}", "model.safetensors", content, refused)


# -- GGUF -------------------------------------------------------------------------------------------


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def _row(name: str, *shape: int, kind: int = 0, place: int = 0) -> bytes:
    return _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, place)


def _file(
    pairs: bytes = b"", pair_count: int = 0, rows: bytes = b"", count: int = 0, end: bytes = bytes(64)
) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, count, pair_count) + pairs + rows
    return head + bytes(-len(head) % 32) + end


def _value(kind: int, rest: bytes) -> bytes:
    return _text("a") + struct.pack("<I", kind) + rest


_LIST = struct.Struct("<IQ")
_ALIGN = _text("general.alignment")
_GGUF = {
    "nothing but a promise": b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60),
    "four letters": b"GGUF",
    "version 1": b"GGUF" + struct.pack("<III", 1, 1, 0) + bytes(64),
    "version 900": b"GGUF" + struct.pack("<IQQ", 900, 0, 0) + bytes(64),
    "the other end first": b"GGUF" + struct.pack(">IQQ", 3, 1, 0) + bytes(64),
    "too few tensors": _file(rows=_row("a", 4), count=5),
    "a text of 2 to the 62": _file(_value(8, struct.pack("<Q", 2**62)), 1),
    "a name of 2 to the 63": _file(struct.pack("<Q", 2**63) + b"a", 1),
    "lists in lists": _file(_value(9, _LIST.pack(9, 2**40)), 1),
    "lists in lists in lists": _file(_value(9, _LIST.pack(9, 1) * 30_000), 1),
    "numbers without end": _file(_value(9, _LIST.pack(10, 2**61)), 1),
    "texts without end": _file(_value(9, _LIST.pack(8, 2**61)), 1),
    "two million empty texts": _file(_value(9, _LIST.pack(8, 2**21)) + bytes(2**24), 1),
    "a million empty texts": _file(_value(9, _LIST.pack(8, 2**20 - 1)) + bytes(2**23), 9),
    "ten thousand pairs": _file(b"".join(_text(str(n)) + b"\0\0\0\0\1" for n in range(10_001)), 10_001),
    "a value of no kind": _file(_value(77, b""), 1),
    "no alignment": _file(_ALIGN + struct.pack("<II", 4, 0), 1, _row("a", 4), 1),
    "a text as alignment": _file(_ALIGN + struct.pack("<I", 8) + _text("x"), 1, _row("a", 4), 1),
    "alignment 2 to the 31": _file(_ALIGN + struct.pack("<II", 4, 2**31), 1, _row("a", 4), 1),
    "beyond the end": _file(rows=_row("a", 17), count=1),
    "a place beyond the end": _file(rows=_row("a", 4, place=2**40), count=1),
    "a place of all bytes": _file(rows=_row("a", 4, place=2**64 - 1), count=1),
    "sizes that overflow": _file(rows=_row("a", 2**47, 2**47, 2**47), count=1),
    "a size of all bytes": _file(rows=_row("a", 2**64 - 1), count=1),
    "an unknown kind": _file(rows=_row("a", 4, kind=999), count=1),
    "two billion dimensions": _file(rows=_text("a") + struct.pack("<I", 2**31), count=1),
    "a name twice": _file(rows=_row("a", 4) + _row("a", 4, place=32), count=2),
    "two in one place": _file(rows=_row("a", 8) + _row("b", 8, place=16), count=2),
    "no numbers": _file(rows=_row("a", 0), count=1),
    "half a block": _file(rows=_row("a", 16, kind=8), count=1),
    "out of step": _file(rows=_row("a", 4, place=1), count=1),
    "a kind that is not read": _file(rows=_row("a", 256, kind=16), count=1, end=bytes(256)),
    "nothing": _file(),
}  # fmt: skip


def _gguf(shelf: Shelf) -> None:
    for name, content in _GGUF.items():
        may_pass = name in (
            "two in one place",
            "no numbers",
            "out of step",
            "a kind that is not read",
            "nothing",
        )
        shelf.add(f"gguf {name}", "model.gguf", content, refused=not may_pass)


# -- shards -----------------------------------------------------------------------------------------

_INDEX = "model.safetensors.index.json"
_INDEXES: dict[str, object] = {
    "no index": b"",
    "no json": b"{",
    "a page": _PAGE,
    "a pointer": _POINTER,
    "a list": [1],
    "no map": {"metadata": {}},
    "an empty map": {"weight_map": {}},
    "numbers": {"weight_map": {"a": 1}},
    "a folder above": {"weight_map": {"a": "../../../etc/passwd"}},
    "an absolute path": {"weight_map": {"a": "/etc/passwd"}},
    "itself": {"weight_map": {"a": _INDEX}},
    "a dot": {"weight_map": {"a": "."}},
    "nul": {"weight_map": {"a": "a\0.safetensors"}},
    "a missing shard": {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}},
    "a cut shard": {"weight_map": {"a": "one.safetensors", "b": "cut.safetensors"}},
    "a page as shard": {"weight_map": {"a": "one.safetensors", "b": "page.safetensors"}},
    "a pointer as shard": {"weight_map": {"a": "one.safetensors", "b": "pointer.safetensors"}},
    "the same tensor twice": {"weight_map": {"a": "one.safetensors", "b": "again.safetensors"}},
    "deep": b'{"weight_map":' * 100_000,
}


def _shards(shelf: Shelf) -> None:
    good = table({"a": line([1], [0, 4])}, _FOUR)
    beside = {"one": good, "again": good, "cut": table({"b": line([9], [0, 36])}, _FOUR)}
    beside |= {"page": _PAGE, "pointer": _POINTER}
    for name, index in _INDEXES.items():
        path = shelf.add(name, _INDEX, index if isinstance(index, bytes) else json.dumps(index).encode(),
                         refused=name != "the same tensor twice")  # fmt: skip
        for shard, content in beside.items():
            path.with_name(f"{shard}.safetensors").write_bytes(content)


# -- LoRAs ------------------------------------------------------------------------------------------


def _tensors(
    shapes: dict[str, tuple[int, ...]], told: dict[str, str] | None = None, fill: bytes = b"\0\0\x80\x3f"
) -> bytes:
    """A safetensors file of these shapes in F32, all numbers the same."""
    header: dict[str, object] = {"__metadata__": told} if told else {}
    place = 0
    for name, shape in shapes.items():
        count = 4
        for side in shape:
            count *= side
        header[name] = line(list(shape), [place, place + count])
        place += count
    return table(header, fill * (place // 4))


def _pair(part: str, width: int, rank: int = 2, out: int | None = None) -> dict[str, tuple[int, ...]]:
    name = f"diffusion_model.{part}"
    return {f"{name}.lora_down.weight": (rank, width), f"{name}.lora_up.weight": (out or width, rank)}


_PART = "blocks.0.self_attn.q"
_NAN = struct.pack("<f", float("nan"))


def _loras(shelf: Shelf) -> None:
    """The transformer that they are tried on has a width of 48 and 2 blocks."""
    down, up = _pair(_PART, 48)
    for name, shapes in {
        "for the 1.3B model": _pair(_PART, 1536),
        "for the 14B model": _pair(_PART, 5120),
        "for Flux": {"transformer.single_transformer_blocks.0.proj_mlp.lora_A.weight": (2, 48)},
        "for Stable Diffusion": {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (2, 48)},
        "of nobody": {"x.y.z": (4, 4)},
        "of blocks that are not there": _pair("blocks.900.self_attn.q", 48),
        "of half a pair": {down: (2, 48)},
        "of the other half": {up: (48, 2)},
        "of ranks that differ": {down: (2, 48), up: (48, 3)},
        "of rank 0": {down: (0, 48), up: (48, 0)},
        "of one dimension": {down: (48,), up: (48,)},
        "of nothing": {},
        "of a whole model": {"blocks.0.self_attn.q.weight": (48, 48)},
        "of an output too wide": _pair(_PART, 48, out=49),
    }.items():
        shelf.add(name, "lora.safetensors", _tensors(shapes))
    strange = {
        "lora_adapter_metadata": '{"lora_alpha": "many", "r": -1, "alpha_pattern": [1]}',
        "ss_tag_frequency": '{"a": {"b": 1e999}}',
        "modelspec.thumbnail": "data:image/svg+xml;base64,PHN2Zy8+",
        "modelspec.title": "<img src=x onerror=alert(1)>" * 1000,
    }
    pair = _pair(_PART, 48)
    shelf.add("of strange words", "lora.safetensors", _tensors(pair, strange), refused=False)
    five = {down: (2, 48, 1, 1, 1), up: (48, 2, 1, 1, 1)}
    shelf.add("of five dimensions", "lora.safetensors", _tensors(five), refused=False)
    shelf.add("of nan", "lora.safetensors", _tensors(pair, fill=_NAN), refused=False)
    shelf.add("a page", "lora.safetensors", _PAGE)
    shelf.add("a pointer", "lora.safetensors", _POINTER)
    shelf.add("cut short", "lora.safetensors", _tensors(pair)[:-5])
