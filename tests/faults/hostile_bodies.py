"""Bodies of requests as nobody should send them, by a grammar that a seed unfolds.

A sound call is damaged in one to three places: another value where one was, a field that is gone, doubled or
made up, a byte that is another, a text that ends too soon, another encoding. The same seed gives the same.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

FILE = {"path": "a.png", "meta": {"_type": "gradio.FileData"}}

_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, -0.0, 2**31, -(2**63), 2**63 - 1, 1e308, 5e-324),
    *("", " ", "0", "-1", "nan", "null", "\0", "a\0b", "\u202e", "😀" * 40, "x" * 20_000, "\ud800", "\r\n"),
    *("../../jobs.sqlite3", "/nowhere/secret", "~", "file:///nowhere", "http://127.0.0.1:1/a", "\\\\a\\b"),
    *(
        "{0.__class__}",
        "%s%n%x",
        "${7*7}",
        "'; DROP TABLE jobs; --",
        "<b>1</b>",
        "__proto__",
    ),
    *(
        [],
        {},
        [[]],
        [None] * 300,
        {"": None},
        {"__type__": "update", "value": 1},
        {"_type": "x"},
        {"path": {}},
    ),
    *(FILE, {**FILE, "path": "/nowhere/secret"}, {**FILE, "path": None}, {**FILE, "path": ["a"]}, [FILE] * 3),
    *({**FILE, "url": "http://127.0.0.1:1/"}, {**FILE, "is_stream": True}),
)
_MADE_UP = (
    *("data", "fn_index", "session_hash", "event_data", "event_id", "trigger_id", "simple_format", "batched"),
    *("oauth_token", "__class__", "", "constructor", "x" * 3000, "request", "\0"),
)
_SNIPPETS = (
    *(b'"', b"}", b"]", b"\\", b"NaN", b"-Infinity", b"\\ud800", b"\0", b"\xff\xfe", b"1e999"),
    *(b"9" * 400, b"[" * 300),
)
_JSON = "application/json"
_TYPES = (*[_JSON] * 9, "text/plain", "", f"{_JSON}; charset=utf-16", "multipart/form-data")


@dataclass(frozen=True)
class Body:
    """What is sent where; ``kind`` is what it says it is, if anything."""

    path: str
    content: bytes
    kind: str


def bodies(calls: list[tuple[str, dict[str, Any]]], count: int, seed: int) -> Iterator[Body]:
    """So many bodies, made of sound calls: (address, what is sent there)."""
    dice = random.Random(seed)
    for number in range(count):
        path, call = calls[number % len(calls)]
        yield Body(path, _damaged(dice, call), dice.choice(_TYPES))


def _damaged(dice: random.Random, call: dict[str, Any]) -> bytes:
    call = copy.deepcopy(call)
    for _ in range(dice.randint(1, 3)):
        call = dice.choices(_STRUCTURAL, (6, 2, 2, 2, 1))[0](dice, call)
    content = json.dumps(call, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")
    return dice.choice(_BYTEWISE)(dice, content) if dice.random() < 0.3 else content


# -- what is done to the values ----------------------------------------------------------------------


def _places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything within a value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [(value, key) for key, _ in pairs]
    for container, key in list(found):
        found += _places(container[key])
    return found


def _replace(dice: random.Random, call: Any) -> Any:
    places = _places(call)
    if not places:
        return copy.deepcopy(dice.choice(_VALUES))
    container, key = dice.choice(places)
    container[key] = copy.deepcopy(dice.choice(_VALUES))
    return call


def _remove(dice: random.Random, call: Any) -> Any:
    if places := _places(call):
        container, key = dice.choice(places)
        del container[key]
    return call


def _add(dice: random.Random, call: Any) -> Any:
    target = dice.choice([call, *(container[key] for container, key in _places(call))])
    value = copy.deepcopy(dice.choice(_VALUES))
    if isinstance(target, dict):
        target[dice.choice(_MADE_UP)] = value
    elif isinstance(target, list):
        target.insert(dice.randint(0, len(target)), value)
    return call


def _swap(dice: random.Random, call: Any) -> Any:
    places = _places(call)
    if len(places) > 1:
        (one, first), (other, second) = dice.sample(places, 2)
        here, there = copy.deepcopy(one[first]), copy.deepcopy(other[second])
        one[first] = there
        if not isinstance(other, dict | list) or (isinstance(other, dict) and second not in other):
            return call
        if isinstance(other, list) and second >= len(other):
            return call
        other[second] = here
    return call


def _nest(dice: random.Random, call: Any) -> Any:
    value: Any = copy.deepcopy(dice.choice(_VALUES))
    for _ in range(dice.choice((2, 10, 63, 64, 200))):
        value = [value] if dice.random() < 0.5 else {"a": value}
    if places := _places(call):
        container, key = dice.choice(places)
        container[key] = value
    return call


_STRUCTURAL = (_replace, _remove, _add, _swap, _nest)


# -- what is done to the bytes -----------------------------------------------------------------------


def _inserted(dice: random.Random, content: bytes) -> bytes:
    place = dice.randrange(len(content) + 1)
    return content[:place] + dice.choice(_SNIPPETS) + content[place:]


def _flipped(dice: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(dice.randint(1, 5)):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def _cut(dice: random.Random, content: bytes) -> bytes:
    return content[: dice.randrange(len(content))]


def _twice(dice: random.Random, content: bytes) -> bytes:
    return content + dice.choice((b"", b"\n", b",")) + content


def _otherwise(dice: random.Random, content: bytes) -> bytes:
    text = content.decode("utf-8", "replace")
    return text.encode(dice.choice(("utf-16", "utf-32", "utf-7", "utf-8-sig")), "replace")


_BYTEWISE = (_inserted, _inserted, _flipped, _cut, _twice, _otherwise)
