"""PyTorch files whose pickles would run something, lie, or keep their reader busy; written without torch."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

from tests.faults.corpus.case import MARKER, Case, Shelf

_TIME = (1980, 1, 1, 0, 0, 0)
_END = b"."


def pickle_cases(folder: Path) -> list[Case]:
    shelf = Shelf(folder, "weights")
    folder.mkdir(parents=True)
    marker = str((folder.parent / MARKER).resolve())
    _payloads(shelf, marker)
    _old_formats(shelf, marker)
    _lies(shelf)
    _busy(shelf)
    _archives(shelf)
    return shelf.cases


def checkpoint(
    table: bytes, records: dict[str, bytes] | None = None, method: int = zipfile.ZIP_STORED
) -> bytes:
    """A zip as ``torch.save`` writes it, with this pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in {"archive/data.pkl": table, "archive/version": b"3\n", **(records or {})}.items():
            archive.writestr(zipfile.ZipInfo(name, _TIME), data, method)
    return file.getvalue()


def call(module: str, name: str, *arguments: str) -> bytes:
    """Instructions that import something and call it with texts."""
    pushed = b"".join(_text(each) for each in arguments)
    return f"c{module}\n{name}\n".encode() + b"(" + pushed + b"tR"


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def tensor(shape: tuple[int, ...], strides: tuple[int, ...], elements: int, key: str = "0") -> bytes:
    """Instructions that make a tensor of float32 over a storage."""
    stored = (
        b"("
        + _text("storage")
        + b"ctorch\nFloatStorage\n"
        + _text(key)
        + _text("cpu")
        + _number(elements)
        + b"tQ"
    )
    sizes = b"(" + b"".join(map(_number, shape)) + b"t(" + b"".join(map(_number, strides)) + b"t"
    made = b"ctorch._utils\n_rebuild_tensor_v2\n(" + stored + b"K\0" + sizes
    return made + b"\x89ccollections\nOrderedDict\n)RtR"


def _number(value: int) -> bytes:
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a\x09" + data


def _dictionary(**values: bytes) -> bytes:
    return b"\x80\x02}(" + b"".join(_text(name) + made for name, made in values.items()) + b"u" + _END


_ONE = tensor((1,), (1,), 1)
_DATA = {"archive/data/0": bytes(4)}


def _payloads(shelf: Shelf, marker: str) -> None:
    write = f"open({marker!r}, 'w').write('x')"
    payloads = {
        "os.system": call("os", "system", f"touch {marker}"),
        "posix.system": call("posix", "system", f"touch {marker}"),
        "subprocess": call("subprocess", "getoutput", f"touch {marker}"),
        "eval": call("builtins", "eval", write),
        "exec": call("builtins", "exec", write),
        "open": call("builtins", "open", marker, "w"),
        "runpy": call("runpy", "_run_code", write),
        "timeit": call("timeit", "timeit", write),
        "numpy": call("numpy.testing._private.utils", "runstring", write),
        "torch loader": call("torch", "load", marker),
        "torch library": call("torch.ops", "load_library", marker),
        "torch hub": call("torch.hub", "load", "a/b", "c"),
        "getattr": call("builtins", "getattr", "x", "upper"),
        "import": call("builtins", "__import__", "antigravity"),
        "breakpoint": call("builtins", "breakpoint"),
    }
    for name, payload in payloads.items():
        for where, table in {
            "alone": b"\x80\x02" + payload + _END,
            "beside weights": _dictionary(w=_ONE, x=payload),
            "before them": b"\x80\x02" + payload + b"0" + _dictionary(w=_ONE)[2:],
        }.items():
            shelf.add(f"{name} {where}", "model.pth", checkpoint(table, _DATA))
    system = f"touch {marker}"
    forms = {
        "inst": b"(" + _text(system) + b"ios\nsystem\n",
        "obj": b"(cos\nsystem\n" + _text(system) + b"o",
        "newobj": b"csubprocess\nPopen\n(" + _text(system) + b"t\x81",
        "newobj_ex": b"csubprocess\nPopen\n(" + _text(system) + b"t}\x92",
        "stack_global": b"\x8c\x02os\x8c\x06system\x93(" + _text(system) + b"tR",
        "ext1": b"\x82\x01",
        "build": b"ctorch\nTensor\n)R}(" + _text("__setstate__") + b"cos\nsystem\nub",
        "persid": b"Pos.system\n",
        "a tensor's state": b"ctorch._utils\n_rebuild_from_type_v2\n(cos\nsystem\ncos\nsystem\n("
        + _text(system)
        + b"t}tR",
    }
    for name, form in forms.items():
        shelf.add(f"by {name}", "model.pth", checkpoint(b"\x80\x04" + form + _END, _DATA))
    bad = checkpoint(b"\x80\x02" + payloads["os.system"] + _END, _DATA)
    for end in ("safetensors", "gguf", "pt", "bin", "ckpt"):
        shelf.add(f"under the name of {end}", f"model.{end}", bad)
    hidden = {**_DATA, "archive/constants.pkl": b"\x80\x02" + payloads["os.system"] + _END}
    shelf.add("in a script's constants", "model.pth", checkpoint(_dictionary(w=_ONE), hidden))
    code = {**_DATA, "archive/code/__torch__.py": b"import os\nos.system('touch MARKER')\n"}
    shelf.add("in a script's code", "model.pth", checkpoint(_dictionary(w=_ONE), code))


class _Payload:
    def __init__(self, marker: str) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple:
        import os

        return os.system, (f"touch {self._marker}",)


def _old_formats(shelf: Shelf, marker: str) -> None:
    for protocol in range(6):
        content = pickle.dumps({"w": _Payload(marker)}, protocol)
        shelf.add(f"a plain pickle of protocol {protocol}", "model.pth", content)
        shelf.add(f"a plain pickle of protocol {protocol} as safetensors", "model.safetensors", content)
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
    shelf.add("before torch 1.6", "model.pth", magic + pickle.dumps(_Payload(marker), 2))
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("sys_info", "pickle", "../../MARKER"):
            info = tarfile.TarInfo(name)
            data = pickle.dumps(_Payload(marker), 2)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    shelf.add("a tar", "model.pth", file.getvalue())


def _lies(shelf: Shelf) -> None:
    for name, made, data in (
        ("ten to the 15 numbers by stride 0", tensor((2**30, 2**20), (0, 0), 1), 4),
        ("a few numbers by stride 0", tensor((2, 1), (0, 1), 1), 400),
        ("more numbers than are there", tensor((2**40,), (1,), 2**40), 4),
        ("a storage that is cut", tensor((100,), (1,), 100), 8),
        ("a negative size", tensor((-1,), (1,), 1), 4),
        ("a negative stride", tensor((1,), (-1,), 1), 4),
        ("no strides", tensor((1,), (), 1), 4),
        ("2 to the 63 elements", tensor((2**63,), (1,), 1), 4),
        ("twelve dimensions", tensor((1,) * 12, (1,) * 12, 1), 4),
    ):
        content = checkpoint(_dictionary(w=made), {"archive/data/0": bytes(data)})
        shelf.add(name, "model.pth", content)
    many = b"".join(_text(f"w{n}") + _ONE for n in range(300))
    shelf.add("one number 300 times", "model.pth", checkpoint(b"\x80\x02}(" + many + b"u.", _DATA))
    for name, table in {
        "a list": b"\x80\x02](" + _ONE + b"e.",
        "nothing": b"\x80\x02}.",
        "numbers": _dictionary(step=b"K\3"),
        "names that are numbers": b"\x80\x02}(K\1" + _ONE + b"u.",
        "names that are tuples": b"\x80\x02}((K\1K\2t" + _ONE + b"u.",
        "no end": b"\x80\x02}",
        "no pickle": b"",
        "noise": bytes((i * 7919) % 256 for i in range(3000)),
        "an empty stack": b"\x80\x02.",
        "a missing mark": b"\x80\x02}u.",
        "a missing memo": b"\x80\x02h\x05.",
        "a storage of no kind": _dictionary(
            w=b"(" + _text("storage") + b"cos\nsystem\n" + _text("0") + b"tQ"
        ),
        "itself": b"\x80\x02}q\0(" + _text("w") + b"h\0u.",
    }.items():
        shelf.add(f"a table of {name}", "model.pth", checkpoint(table, _DATA))


def _busy(shelf: Shelf) -> None:
    deep = b"\x80\x02" + b"N" + b"\x85" * 3_000_000 + _END
    shelf.add("tuples in tuples", "model.pth", checkpoint(deep, _DATA))
    doubled = b"\x80\x02" + b"N" + b"q\0h\0\x86" * 500_000 + _END
    shelf.add("tuples of twins", "model.pth", checkpoint(doubled, _DATA))
    key = b"\x80\x02}" + b"N" + b"q\0h\0\x86" * 60 + b"K\1s."
    shelf.add("a name that takes for ever to hash", "model.pth", checkpoint(key, _DATA))
    shelf.add(
        "8 mebibytes of marks", "model.pth", checkpoint(b"\x80\x02" + b"(" * (8 * 2**20 - 10) + _END, _DATA)
    )
    shelf.add(
        "8 mebibytes of lists", "model.pth", checkpoint(b"\x80\x02" + b"]" * (8 * 2**20 - 10) + _END, _DATA)
    )
    shelf.add("9 mebibytes", "model.pth", checkpoint(b"\x80\x02" + b"N" * (9 * 2**20) + _END, _DATA))
    long = b"\x8b" + struct.pack("<I", 2**31 - 1)
    shelf.add("a number of 2 gibibytes", "model.pth", checkpoint(b"\x80\x02" + long + _END, _DATA))
    shelf.add("a text of 4 gibibytes", "model.pth", checkpoint(b"\x80\x02X\xff\xff\xff\xff" + _END, _DATA))
    shelf.add("a number in words", "model.pth", checkpoint(b"\x80\x02L" + b"9" * 2_000_000 + b"L\n.", _DATA))


def _archives(shelf: Shelf) -> None:
    good = checkpoint(_dictionary(w=_ONE), _DATA)
    shelf.add("compressed", "model.pth", checkpoint(_dictionary(w=_ONE), _DATA, zipfile.ZIP_DEFLATED))
    bomb = checkpoint(_dictionary(w=_ONE), {"archive/data/0": bytes(2**26)}, zipfile.ZIP_DEFLATED)
    shelf.add("a bomb", "model.pth", bomb)
    slip = {**_DATA, "../../../MARKER": b"x", "/tmp/MARKER": b"x"}
    shelf.add("names of other folders", "model.pth", checkpoint(_dictionary(w=_ONE), slip), refused=False)
    shelf.add("two tables", "model.pth", checkpoint(_dictionary(w=_ONE), {**_DATA, "b/data.pkl": b"."}))
    shelf.add("no table", "model.pth", checkpoint(b"", {}).replace(b"data.pkl", b"data.plk"))
    records = {f"archive/data/{n}": b"" for n in range(21_000)}
    shelf.add("21000 records", "model.pth", checkpoint(_dictionary(w=_ONE), records))
    for percent in (10, 50, 90, 99):
        shelf.add(f"cut to {percent}", "model.pth", good[: len(good) * percent // 100])
    shelf.add("a directory that lies", "model.pth", good[:-12] + b"\xff\xff\xff\x7f" + good[-8:])
    shelf.add("only the end", "model.pth", b"PK\x05\x06" + bytes(18))
    shelf.add("a size that lies", "model.pth", _claiming(good, 2**31 - 1))
    shelf.add("encrypted", "model.pth", good.replace(b"\x14\0\0\0\0\0", b"\x14\0\1\0\0\0"))


def _claiming(archive: bytes, size: int) -> bytes:
    """The sizes in the directory of a zip changed."""
    data = bytearray(archive)
    place = data.find(b"PK\x01\x02")
    while place >= 0:
        data[place + 20 : place + 28] = struct.pack("<II", size, size)
        place = data.find(b"PK\x01\x02", place + 4)
    return bytes(data)
