"""Files to restore a request from, and results to export: lying JSON, ZIPs that unfold or lead elsewhere."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import stat
import struct
import zipfile
from pathlib import Path

from tests.faults.corpus.case import CANARY, Case, Shelf
from tests.faults.corpus.pictures import png

_TIME = (1980, 1, 1, 0, 0, 0)
_KEY, _MEDIA, _FILES = "wan_studio_request", "wan_studio_media", "wan_studio_files"
_PLAIN = {"prompt": "a cat"}


def settings_cases(folder: Path) -> list[Case]:
    shelves = [
        Shelf(folder, "settings"),
        Shelf(folder / "zips", "settings"),
        Shelf(folder / "frames", "result"),
    ]
    _json(shelves[0])
    _zips(shelves[1])
    _frames(shelves[2])
    return [case for shelf in shelves for case in shelf.cases]


_VALUES: dict[str, object] = {
    "a prompt that is a list": {"prompt": ["a"]},
    "a prompt of nul": {"prompt": "a\0b"},
    "a prompt of half a character": {"prompt": "\ud800"},
    "a prompt of a million letters": {"prompt": "a" * 10**6},
    "a prompt of templates": {"prompt": "{" * 5000 + "a|b" + "}" * 5000},
    "a task of nobody": {**_PLAIN, "task": "rm -rf"},
    "a model that is a path": {**_PLAIN, "model": "../../../etc/passwd"},
    "a model of this machine": {**_PLAIN, "model": "Wan-AI/Wan2.1-T2V-14B/../../../etc/passwd"},
    "a size of much": {**_PLAIN, "width": 10**9, "height": 10**9},
    "a size of nothing": {**_PLAIN, "width": 0, "height": -16},
    "frames without end": {**_PLAIN, "num_frames": 2**63},
    "steps of nan": {**_PLAIN, "num_inference_steps": float("nan")},
    "guidance of infinity": {**_PLAIN, "guidance_scale": float("inf")},
    "a seed of 400 digits": {**_PLAIN, "seed": 10**400},
    "an input that is a path": {**_PLAIN, "image": "/etc/passwd"},
    "an input above": {**_PLAIN, "image": "../../etc/passwd"},
    "an input that is an address": {**_PLAIN, "image": "http://127.0.0.1:9/a.png"},
    "an input of another name": {**_PLAIN, "image": "0" * 32 + ".png"},
    "references without end": {**_PLAIN, "references": ["0" * 32 + ".png"] * 10_000},
    "a lora above": {**_PLAIN, "loras": [{"file": "../../../etc/passwd"}]},
    "a lora of nul": {**_PLAIN, "loras": [{"file": "a\0.safetensors"}]},
    "loras without end": {**_PLAIN, "loras": [{"file": "a.safetensors"}] * 10_000},
    "a lora of strange strength": {**_PLAIN, "loras": [{"file": "a.safetensors", "weight": "much"}]},
    "a request that is a list": {_KEY: [1]},
    "a request that is a text": {_KEY: "{}"},
    "a request in a request": {_KEY: {_KEY: {_KEY: _PLAIN}}},
    "unknown settings": {**_PLAIN, **{f"new_{n}": n for n in range(20_000)}},
    "a name that is html": {**_PLAIN, "<img src=x onerror=alert(1)>": 1},
    "code": {**_PLAIN, "__class__": "os.system", "__reduce__": ["touch MARKER"]},
    "files of strange kinds": {_KEY: _PLAIN, _FILES: {"model": "x", "loras": [1, {"a": 2}]}},
    "digests that are numbers": {
        _KEY: {**_PLAIN, "loras": [{"file": "a.safetensors"}]},
        _FILES: {"loras": {"a.safetensors": {"bytes": 10**30, "sha256": "x" * 10**5}}},
    },
    "media of strange kinds": {_KEY: {**_PLAIN, "image": "0" * 32 + ".png"}, _MEDIA: [1]},
}
_BYTES = {
    "nothing": b"",
    "half": b'{"prompt": "a',
    "a page": b"<!DOCTYPE html><html></html>",
    "lists": b'{"prompt":' + b"[" * 500_000,
    "objects": b'{"prompt":' * 300_000,
    "a number of a million digits": b'{"prompt": "a", "seed": ' + b"9" * 10**6 + b"}",
    "no characters": b'{"prompt": "\xff\xfe"}',
    "utf 16": '{"prompt": "a"}'.encode("utf-16"),
    "a mark before": b'\xef\xbb\xbf{"prompt": "a cat"}',
    "names twice": b'{"prompt": "a", "prompt": "b"}',
    "spaces": b"{" + b" " * 20_000_000 + b'"prompt": "a"}',
    "50 mebibytes": b'{"prompt": "' + b"a" * (50 * 2**20) + b'"}',
    "yaml": b"!!python/object/apply:os.system ['touch MARKER']\n",
    "a text": b"a cat walks over the roof\n",
}
_PASS = {"a mark before", "names twice", "spaces"}


def _json(shelf: Shelf) -> None:
    for name, values in _VALUES.items():
        shelf.add(name, "a.json", json.dumps(values).encode(), refused=False)
    for name, content in _BYTES.items():
        shelf.add(name, "a.json", content, refused=name not in _PASS)
    for name, content in {
        "a page": b"<html></html>",
        "a bomb": png(13000, 13000, b""),
        "a playlist": f"#EXTM3U\n#EXTINF:1,\n/etc/{CANARY}\n".encode(),
        "other bytes": b"x",
        "nothing": b"",
    }.items():
        digest = hashlib.sha256(content).hexdigest()[:32]
        for end in ("png", "mp4", "txt"):
            brought = {f"{digest}.{end}": base64.b64encode(content).decode()}
            values = {_KEY: {**_PLAIN, "image": f"{digest}.{end}"}, _MEDIA: brought}
            shelf.add(f"{name} as an input in {end}", "a.json", json.dumps(values).encode(), refused=False)
    for name, text in {"no base64": "%%%", "much base64": "A" * (40 * 2**20), "a number": 7}.items():
        values = {_KEY: {**_PLAIN, "image": "0" * 32 + ".png"}, _MEDIA: {"0" * 32 + ".png": text}}
        shelf.add(f"an input of {name}", "a.json", json.dumps(values).encode(), refused=False)
    million = 500_000
    for name, content in {
        "chunks.png": b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0aaAa\0\0\0\0" * million,
        "segments.jpg": b"\xff\xd8" + b"\xff\xfe\0\2" * million,
        "blocks.gif": b"GIF89a" + bytes(7) + b"\x21\xfe" + b"\1a" * million,
        "atoms.mp4": b"\0\0\0\x08free" * million,
        "tags.webm": b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff" + b"\x12\x54\xc3\x67\x80" * million,
        "chunks.webp": b"RIFF\xff\xff\xff\x7fWEBP" + b"abcd\0\0\0\0" * million,
    }.items():
        shelf.add(f"many {name}", name, content)


# -- ZIPs -------------------------------------------------------------------------------------------


def archive(records: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED, mode: int = 0o644) -> bytes:
    """A ZIP of these records, in this order."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        for name, data in records:
            info = zipfile.ZipInfo(name, _TIME)
            info.external_attr = mode << 16
            made.writestr(info, data, method)
    return file.getvalue()


_SETTINGS = json.dumps({_KEY: _PLAIN}).encode()
_LINK = stat.S_IFLNK | 0o777
_BOMB = json.dumps({_KEY: {"prompt": "a" * 2**25}}).encode()


def _zips(shelf: Shelf) -> None:
    packed = zipfile.ZIP_DEFLATED
    for name, content in {
        "a bomb": archive([("settings.json", _BOMB)], packed),
        "a bomb in a bomb": archive([("settings.json", archive([("settings.json", _BOMB)], packed))], packed),
        "a link to passwords": archive([("settings.json", b"/etc/passwd")], mode=_LINK),
        "above": archive([("../../settings.json", _SETTINGS)]),
        "absolute": archive([("/etc/settings.json", _SETTINGS)]),
        "settings later": archive([("a.txt", b"a"), ("settings.json", _SETTINGS)]),
        "a size that lies": _lying(archive([("settings.json", _SETTINGS)]), 2**32 - 2),
        "47 mebibytes": _lying(archive([("settings.json", _SETTINGS)]), 47 * 2**20),
        "nothing": archive([]),
        "no settings": archive([("a.txt", b"a")]),
        "a folder": archive([("settings.json/", b"")]),
        "cut": archive([("settings.json", _SETTINGS)])[:60],
        "noise": b"PK\x03\x04" + bytes(range(256)) * 4,
        "a name of 65535 letters": archive([("a" * 65535, b"")]),
    }.items():
        shelf.add(name, "a.zip", content)
    shelf.add("settings twice", "a.zip", archive([("settings.json", _SETTINGS)]) * 2, refused=False)


def _lying(content: bytes, size: int) -> bytes:
    """The sizes in the first record's header changed."""
    return content[:18] + struct.pack("<II", size, size) + content[26:]


def _frames(shelf: Shelf) -> None:
    picture = png(16, 16, b"x\x9cc`\x18\x05\xa3\x80l\0\0\x01\x10\0\x01")
    name = "frame_00000.png"
    bomb = png(13000, 13000, b"")
    packed = zipfile.ZIP_DEFLATED
    for what, content in {
        "no frames": archive([("settings.json", _SETTINGS)]),
        "frames above": archive([(f"../../{name}", picture)]),
        "frames that are links": archive([(name, b"/etc/passwd")], mode=_LINK),
        "a frame that is a bomb": archive([(name, bomb)]),
        "a frame of 300 mebibytes": archive([(name, bytes(300 * 2**20))], packed),
        "a frame that is a page": archive([(name, b"<html></html>")]),
        "a frame that is nothing": archive([(name, b"")]),
        "a frame that is postscript": archive([(name, b"%!PS-Adobe-3.0 EPSF-3.0\n")]),
        "cut": archive([(name, picture)])[:-30],
        "noise": b"PK\x03\x04" + bytes(range(256)) * 4,
        "a locked frame": archive([(name, picture)]).replace(b"\x14\0\0\0\0\0", b"\x14\0\1\0\0\0"),
        "many names": archive([(f"frame_{n:05d}.png", b"") for n in range(5000)]),
    }.items():
        shelf.add(what, "a.zip", content)
    (path := shelf.place("a folder of frames above", "frames")).mkdir()
    (path / name).symlink_to("/etc/passwd")
    shelf.put("a folder of frames above", path)
    (path := shelf.place("an empty folder", "frames")).mkdir()
    shelf.put("an empty folder", path)
