"""What a .pth holds, read from its pickle without unpickling it.

The pickle of a flat dictionary of tensors uses few instructions. They are followed here with plain numbers,
texts and tuples; what a pickle would import or call is only noted down by name.
"""

from __future__ import annotations

import math
import pickletools
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from wan_core.manager.headers import entry
from wan_core.manager.headers.entry import AGAIN, Header, TensorEntry
from wan_core.schema import WeightsError

# torch's storage classes -> the word for their elements and bytes of each
_STORAGES = {
    "DoubleStorage": ("F64", 8), "FloatStorage": ("F32", 4), "HalfStorage": ("F16", 2),
    "BFloat16Storage": ("BF16", 2), "LongStorage": ("I64", 8), "IntStorage": ("I32", 4),
    "ShortStorage": ("I16", 2), "CharStorage": ("I8", 1), "ByteStorage": ("U8", 1),
    "BoolStorage": ("BOOL", 1),
}  # fmt: skip
_WRAPPERS = ("model_state", "state_dict", "params_ema", "params")
"""Names under which some trainers put the tensors, beside nothing else that counts."""


# RuntimeError: a record is locked by a password
_DAMAGE = (zipfile.BadZipFile, RuntimeError, OSError, ValueError, TypeError, LookupError, AttributeError)


class _Named(NamedTuple):
    """Something that the pickle would import."""

    name: str


class _WouldRun(Exception):
    """The pickle calls something that no table of tensors needs."""


class _Storage(NamedTuple):
    dtype: str
    item_bytes: int


class _Tensor(NamedTuple):
    entry: TensorEntry
    repeats: bool  # one number stands for many: a tensor of any size in no space


def check_zip(path: Path) -> int:
    """Bytes of tensors in a .pth, which must be a zip of uncompressed records, and nothing else.

    Raises:
        WeightsError: it is not.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        problem = str(error).partition("\n")[0][:160]
        raise WeightsError(f"{path} is cut short or damaged ({problem}); {AGAIN}.") from error
    pickles = [record for record in records if record.filename.endswith("/data.pkl")]
    if len(pickles) != 1 or len(records) > entry.MAX_TENSORS + 100:
        raise WeightsError(f"{path} is a zip archive, but no PyTorch checkpoint; {AGAIN}.")
    if any("/code/" in record.filename or record.filename.endswith("/constants.pkl") for record in records):
        raise WeightsError(
            f"{path} holds a program (TorchScript) and is not opened; "
            "use the official file or a .safetensors file."
        )
    if any(record.compress_type != zipfile.ZIP_STORED for record in records):
        raise WeightsError(f"{path} is compressed, which no PyTorch checkpoint is; {AGAIN}.")
    if pickles[0].file_size > entry.MAX_TABLE_BYTES:
        raise WeightsError(
            f"{path} has a table of {pickles[0].file_size} bytes, which no Wan model has; {AGAIN}."
        )
    return sum(record.file_size for record in records if "/data/" in record.filename)


def read_pth_header(path: Path) -> Header:
    """Names, types and shapes of a .pth file's tensors.

    Raises:
        WeightsError: the file is damaged, or holds anything but tensors by name.
    """
    payload = check_zip(path)
    try:
        with zipfile.ZipFile(path) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            found = unwrap(_follow(archive.read(name)))
    except _WouldRun as error:
        raise WeightsError(
            f"{path} holds more than tensors, possibly code that would run, and is not opened ({error}); "
            "use the official file or a .safetensors file."
        ) from error
    except _DAMAGE as error:
        problem = str(error).partition("\n")[0][:160]
        raise WeightsError(
            f"{path} holds more than tensors by name, or is damaged ({problem}); {AGAIN}."
        ) from error
    tensors = {
        name: value
        for name, value in (found.items() if isinstance(found, dict) else ())
        if isinstance(name, str) and isinstance(value, _Tensor)
    }
    if not tensors:
        raise WeightsError(f"{path} holds no tensors by name; use the official file.")
    claimed, held = sum(line.entry.nbytes for line in tensors.values()), min(payload, path.stat().st_size)
    if claimed > held or any(line.repeats for line in tensors.values()):
        raise WeightsError(
            f"{path} claims {claimed} bytes of tensors but has only {held}; do not use it, {AGAIN}."
        )
    return Header("pth", {name: line.entry for name, line in tensors.items()})


def unwrap(state: Any) -> Any:
    """The dictionary inside, where a trainer put the tensors under a name of their own."""
    for wrapper in _WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            return state[wrapper]
    return state


def _follow(pickle: bytes) -> Any:
    """What the pickle stands for, with ``_Tensor`` for tensors.

    Raises:
        ValueError, TypeError, LookupError, AttributeError: it does what no flat dictionary of tensors needs.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for opcode, argument, _ in pickletools.genops(pickle):
        name = opcode.name
        if name == "STOP":
            return stack.pop()
        if name in ("PROTO", "FRAME"):
            continue
        if name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name in _PUSHES:
            stack.append(_PUSHES[name](argument))
        elif name in _ACTIONS:
            _ACTIONS[name](stack)
        else:
            raise ValueError(f"it uses the instruction {name}")
    raise ValueError("it has no end")


_MARK = object()
_PUSHES: dict[str, Callable[[Any], Any]] = {
    "MARK": lambda _: _MARK,
    "EMPTY_DICT": lambda _: {},
    "EMPTY_TUPLE": lambda _: (),
    "EMPTY_LIST": lambda _: [],
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "GLOBAL": lambda argument: _Named(argument.replace(" ", ".")),
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"),
        lambda argument: argument,
    ),
}


def _pop_to_mark(stack: list[Any]) -> list[Any]:
    place = len(stack) - 1
    while stack[place] is not _MARK:
        place -= 1
        if place < 0:
            raise ValueError("a mark is missing")
    items = stack[place + 1 :]
    del stack[place:]
    return items


def _tuple(number: int) -> Callable[[list[Any]], None]:
    def act(stack: list[Any]) -> None:
        items = tuple(stack[-number:])
        del stack[-number:]
        stack.append(items)

    return act


def _set_items(stack: list[Any]) -> None:
    items = _pop_to_mark(stack)
    for key, value in zip(items[::2], items[1::2], strict=True):
        _put(stack[-1], key, value)


def _set_item(stack: list[Any]) -> None:
    value, key = stack.pop(), stack.pop()
    _put(stack[-1], key, value)


def _put(state: dict[str, Any], key: Any, value: Any) -> None:
    if not isinstance(key, str):  # the hash of a nested tuple may take for ever
        raise ValueError("a name that is no text")
    state[key] = value


def _append_items(stack: list[Any]) -> None:
    items = _pop_to_mark(stack)
    stack[-1].extend(items)


def _storage(stack: list[Any]) -> None:
    """("storage", class, key, device, elements): only the class is needed."""
    stack[-1] = _Storage(*_STORAGES[stack[-1][1].name.rpartition(".")[2]])


def _call(stack: list[Any]) -> None:
    arguments, named = stack.pop(), stack.pop()
    if named.name == "collections.OrderedDict" and not arguments:
        stack.append({})
    elif named.name == "torch._utils._rebuild_tensor_v2":
        storage, _, shape, strides = arguments[:4]
        if not isinstance(storage, _Storage) or len(shape) > entry.MAX_DIMENSIONS:
            raise ValueError("a tensor without elements, or with too many dimensions")
        if any(type(n) is not int or not 0 <= n < 2**48 for n in (*shape, *strides)):
            raise ValueError("a tensor has an impossible shape")
        repeats = any(size > 1 and not stride for size, stride in zip(shape, strides, strict=True))
        nbytes = math.prod(shape) * storage.item_bytes
        stack.append(_Tensor(TensorEntry(storage.dtype, tuple(shape), nbytes), repeats))
    elif named.name == "torch._utils._rebuild_parameter":
        stack.append(arguments[0])
    else:
        raise _WouldRun(named.name[:80])


def _drop_state(stack: list[Any]) -> None:
    """BUILD sets attributes, such as the version notes of a state dict."""
    stack.pop()


_ACTIONS: dict[str, Callable[[list[Any]], None]] = {
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "TUPLE": lambda stack: stack.append(tuple(_pop_to_mark(stack))),
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "APPENDS": _append_items,
    "BINPERSID": _storage,
    "REDUCE": _call,
    "BUILD": _drop_state,
}
