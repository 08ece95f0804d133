"""Sound files of each format, and copies of them that are damaged by chance, each again by its number."""

from __future__ import annotations

import io
import json
import random
import sqlite3
import struct
import zlib
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.faults.corpus.pickles import checkpoint, tensor
from tests.faults.corpus.weights import line, table
from tests.media.making import make_video
from wan_core.jobs.store import JobStore
from wan_core.media.metadata import FILES_KEY, MEDIA_KEY, REQUEST_KEY
from wan_core.schema import GenerationRequest

EDGES = (
    0,
    1,
    7,
    8,
    127,
    128,
    255,
    256,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**48,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
"""Numbers at which lengths go wrong."""
_WORDS = (
    b"0",
    b"-1",
    b"1e999",
    b"null",
    b"[]",
    b"{}",
    b'""',
    b"true",
    b"9" * 40,
    b"NaN",
    b'"\\ud800"',
    b"[[[[[[",
    b"4.5",
)


def damaged(format: str, number: int, seed: int = 0) -> bytes:
    """The ``number``-th damaged file of a format: the same for ever."""
    chance = random.Random(f"{format} {seed} {number}")
    repair = _REPAIRS.get(format) if chance.random() < 0.6 else None
    samples = _TABLES[format]() if repair and format in _TABLES else SAMPLES[format]()
    data = bytearray(chance.choice(samples))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 5, 9))):
        change = chance.choice(_TEXT_CHANGES if format in ("json",) else _CHANGES)
        change(data, chance, samples)
        if not data:
            break
    return repair(bytes(data)) if repair else bytes(data)


def _as_safetensors(header: bytes) -> bytes:
    """What was damaged is the header; its length is right again."""
    return struct.pack("<Q", len(header)) + header + bytes(80)


def _as_pth(instructions: bytes) -> bytes:
    """What was damaged is the pickle; the zip around it is sound."""
    return checkpoint(instructions, {f"archive/data/{n}": bytes(24) for n in range(3)})


def _with_sums(content: bytes) -> bytes:
    """A PNG whose chunks have right sums again, so that its reader comes as far as the damage."""
    data, place = bytearray(content), 8
    while place + 12 <= len(data):
        end = place + 8 + int.from_bytes(data[place : place + 4])
        if end + 4 > len(data):
            break
        data[end : end + 4] = zlib.crc32(data[place + 4 : end]).to_bytes(4)
        place = end + 4
    return bytes(data)


_REPAIRS: dict[str, Callable[[bytes], bytes]] = {
    "safetensors": _as_safetensors,
    "pth": _as_pth,
    "png": _with_sums,
}


# -- ways to damage ---------------------------------------------------------------------------------


def _place(data: bytearray, chance: random.Random) -> int:
    """Mostly near the beginning, where lengths and tables stand."""
    reach = min(len(data), chance.choice((16, 64, 256, 1024, 2**30)))
    return chance.randrange(max(reach, 1))


def _flip(data: bytearray, chance: random.Random, samples: list[bytes]) -> None:
    place = _place(data, chance) if data else 0
    if data:
        data[place] ^= 1 << chance.randrange(8)


def _byte(data: bytearray, chance: random.Random, samples: list[bytes]) -> None:
    if data:
        data[_place(data, chance)] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))


def _number(data: bytearray, chance: random.Random, samples: list[bytes]) -> None:
    place, size = _place(data, chance), chance.choice((2, 4, 8))
    value = chance.choice(EDGES) & ((1 << 8 * size) - 1)
    data[place : place + size] = value.to_bytes(size, chance.choice(("little", "big")))


def _cut(data: bytearray, chance: random.Random, samples: list[bytes]) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _remove(data: bytearray, chance: random.Random, samples: list[bytes]) -> None:
    place = _place(data, chance)
    del data[place : place + chance.choice((1, 4, 8, 64, 1000))]


def _repeat(data: bytearray, chance: random.Random, samples: list[bytes]) -> None:
    place = _place(data, chance)
    piece = bytes(data[place : place + chance.choice((1, 8, 40, 300))])
    data[place:place] = piece * chance.choice((1, 2, 50, 2000))


def _zeros(data: bytearray, chance: random.Random, samples: list[bytes]) -> None:
    place = _place(data, chance)
    size = min(chance.choice((4, 16, 200)), len(data) - place)
    data[place : place + size] = bytes([chance.choice((0, 255))]) * size


def _splice(data: bytearray, chance: random.Random, samples: list[bytes]) -> None:
    other = chance.choice(samples)
    start = chance.randrange(len(other))
    place = _place(data, chance)
    size = chance.choice((8, 100, 3000))
    data[place : place + size] = other[start : start + size]


def _word(data: bytearray, chance: random.Random, samples: list[bytes]) -> None:
    """A value of JSON changed for another."""
    marks = [i for i, byte in enumerate(data[:4000]) if byte in b":,["]
    if marks:
        start = chance.choice(marks) + 1
        end = next((i for i in range(start, len(data)) if data[i] in b",]}"), start)
        data[start:end] = chance.choice(_WORDS)


Change = Callable[[bytearray, random.Random, list[bytes]], None]
_CHANGES: tuple[Change, ...] = (
    _flip,
    _byte,
    _byte,
    _number,
    _number,
    _cut,
    _remove,
    _repeat,
    _zeros,
    _splice,
    _word,
)
_TEXT_CHANGES: tuple[Change, ...] = (*_CHANGES, _word, _word, _word, _word, _word)


# -- sound files ------------------------------------------------------------------------------------


@cache
def _safetensors() -> list[bytes]:
    one = {"blocks.0.self_attn.q.weight": line([4, 4], [0, 64]), "head.head.bias": line([4], [64, 80])}
    half = {"__metadata__": {"format": "pt", "a": "b"}, "a": line([3], [0, 6], "BF16")}
    many = {f"blocks.{n}.weight": line([1], [n, n + 1], "F8_E4M3") for n in range(40)}
    return [table(one, bytes(80)), table(half, bytes(6)), table(many, bytes(40))]


@cache
def _gguf() -> list[bytes]:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    def whole(pairs: list[bytes], rows: list[bytes], size: int) -> bytes:
        head = b"GGUF" + struct.pack("<IQQ", 3, len(rows), len(pairs)) + b"".join(pairs) + b"".join(rows)
        return head + bytes(-len(head) % 32) + bytes(size)

    def row(name: str, shape: tuple[int, ...], kind: int, place: int) -> bytes:
        return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, place)

    words = text("tokenizer.tokens") + struct.pack("<IIQ", 9, 8, 3) + text("a") + text("b") + text("c")
    shape = text("comfy.gguf.orig_shape.a") + struct.pack("<IIQ2i", 9, 5, 2, 4, 16)
    name = text("general.architecture") + struct.pack("<I", 8) + text("wan")
    align = text("general.alignment") + struct.pack("<II", 4, 32)
    return [
        whole([name, align, words], [row("a", (4, 4), 0, 0), row("b", (32,), 8, 64)], 128),
        whole([shape], [row("a", (64,), 1, 0)], 128),
        whole([name], [row(f"blocks.{n}.weight", (256, 2), 12, 288 * n) for n in range(4)], 1152),
    ]


def _listed(count: int) -> bytes:
    """The pickle of so many tensors."""
    names = [f"blocks.{n}.weight".encode() for n in range(count)]
    pairs = (
        b"X" + struct.pack("<I", len(name)) + name + tensor((2, 3), (3, 1), 6, str(n))
        for n, name in enumerate(names)
    )
    return b"\x80\x02}(" + b"".join(pairs) + b"u."


@cache
def _pth() -> list[bytes]:
    return [checkpoint(_listed(n), {f"archive/data/{k}": bytes(24) for k in range(n)}) for n in (1, 3, 12)]


@cache
def _png() -> list[bytes]:
    chance = np.random.default_rng(0)
    info = PngInfo()
    info.add_itxt("comment", json.dumps({REQUEST_KEY: {"prompt": "a cat"}}))
    pictures = [
        (Image.fromarray(chance.integers(0, 255, (24, 32, 3), np.uint8)), {"pnginfo": info}),
        (Image.fromarray(chance.integers(0, 255, (24, 32, 4), np.uint8)), {}),
        (Image.fromarray(chance.integers(0, 255, (24, 32), np.uint8)).convert("P"), {"transparency": 3}),
        (Image.fromarray(chance.integers(0, 65535, (24, 32)).astype(np.uint16)), {}),
    ]
    made = []
    for picture, options in pictures:
        file = io.BytesIO()
        picture.save(file, "PNG", **options)
        made.append(file.getvalue())
    return made


_EXACT = ("-fflags", "+bitexact", "-flags:v", "+bitexact", "-threads", "1", "-metadata", "comment={}")


@cache
def _mp4() -> list[bytes]:
    source = "testsrc2=size=32x32:rate=5:duration=0.8"
    made = []
    with TemporaryDirectory() as folder:
        for name, *coding in (
            ("a.mp4", "-c:v", "libx264", "-preset", "ultrafast"),
            ("b.mp4", "-c:v", "mpeg4"),
            ("c.mov", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
            ("d.webm", "-c:v", "libvpx", "-deadline", "realtime"),
            ("e.gif",),
        ):
            path = make_video(Path(folder, name), *coding, *_EXACT, source=source)
            made.append(path.read_bytes())
    return made


@cache
def _json() -> list[bytes]:
    request = GenerationRequest(
        prompt="a cat; 猫", image="0" * 32 + ".png", loras=({"file": "a.safetensors"},)
    )
    plain = request.model_dump(mode="json")
    told = {"model": [{"bytes": 5, "sha256": "ab"}], "loras": {"a.safetensors": {"bytes": 3, "sha256": "cd"}}}
    full = {REQUEST_KEY: plain, FILES_KEY: told, MEDIA_KEY: {"0" * 32 + ".png": "iVBORw0KGgo="}}
    return [json.dumps(values).encode() for values in (plain, full, {"prompt": "a dog", "seed": 3})]


@cache
def _sqlite() -> list[bytes]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "jobs.sqlite3")
        store = JobStore(path)
        for n in range(4):
            store.submit(GenerationRequest(prompt=f"number {n}"))
        store.cancel(store.queue()[0].id)
        store.close()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
        return [path.read_bytes()]


_TABLES: dict[str, Callable[[], list[bytes]]] = {
    "safetensors": lambda: [whole[8 : 8 + int.from_bytes(whole[:8], "little")] for whole in _safetensors()],
    "pth": lambda: [_listed(1), _listed(3)],
}
"""What is damaged in place of the whole file where it is repaired afterwards."""

SAMPLES: dict[str, Callable[[], list[bytes]]] = {
    "safetensors": _safetensors,
    "gguf": _gguf,
    "pth": _pth,
    "png": _png,
    "mp4": _mp4,
    "json": _json,
    "sqlite": _sqlite,
}
