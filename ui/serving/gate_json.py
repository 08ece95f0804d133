"""What is asked of the JSON of a call before Gradio sees it. Every refusal names the field at fault."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

MOST_DEEP = 64
_LARGEST = 2**63
_SESSION = re.compile(r"[\w-]{1,64}")
_ADDRESS = re.compile(r"\s*([a-zA-Z][a-zA-Z0-9+.-]*:|//|\\\\)")
_FILE = "gradio.FileData"


Kinds = frozenset[type] | None
"""The types that a value may have, besides null; None is any."""


@dataclass(frozen=True)
class Called:
    """What a listener of the page takes: a value for each input, and whether it asks what the event was."""

    values: tuple[Kinds, ...]
    reads_event: bool = False


Functions = Mapping[int, Called]
"""The page's listeners by their number."""


class Refused(Exception):
    """Something in a request is not as it has to be; ``str(error)`` is a sentence that names it."""


def parse(body: bytes) -> dict[str, Any]:
    """The object in a body, of numbers that are numbers and text that is text.

    Raises:
        Refused: it is something else.
    """
    try:
        values = json.loads(body.decode())  # of bytes, it would guess other encodings
    except RecursionError:
        raise Refused("The body is nested too deeply.") from None
    except ValueError:  # also: no UTF-8, a number of thousands of digits
        raise Refused("The body is not JSON.") from None
    if not isinstance(values, dict):
        raise Refused('The body is no JSON object; send {"data": [...]}.')
    for place, value in _leaves(values):
        _check_leaf(place, value)
    return values


def check_call(values: Mapping[str, Any], functions: Functions | None, is_page: bool = True) -> None:
    """Whether an object is a call of one of the page's listeners.

    Args:
        functions: None where the listener is named in the address.
        is_page: whether the page calls, which sends all values; programs leave out what has a default.

    Raises:
        Refused: naming the field.
    """
    data = values.get("data")
    if not isinstance(data, list | None):
        raise Refused("data: it is no list of values.")
    session = values.get("session_hash")
    if session is not None and not (isinstance(session, str) and _SESSION.fullmatch(session)):
        raise Refused("session_hash: it is no word of letters and digits.")
    for name in ("fn_index", "trigger_id"):
        number = values.get(name)
        if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
            raise Refused(f"{name}: it is no whole number.")
    if functions is None:
        return
    number = values.get("fn_index")
    if number not in functions:
        raise Refused("fn_index: there is no such listener on this page; reload it.")
    called = functions[number]
    if is_page:
        check_count(data, len(called.values), "reload the page")
        _check_kinds(data or [], called.values)
    if called.reads_event and not isinstance(values.get("event_data"), dict):
        raise Refused("event_data: it is no object; reload the page.")


def _check_kinds(data: list[Any], wanted: tuple[Kinds, ...]) -> None:
    for number, (value, kinds) in enumerate(zip(data, wanted, strict=True)):
        if kinds is not None and value is not None and type(value) not in kinds:
            raise Refused(f"data[{number}]: its control has no such value; reload the page.")


def check_count(data: list[Any] | None, wanted: int, remedy: str) -> None:
    """Whether a call brings as many values as are taken.

    Raises:
        Refused: it brings more or fewer.
    """
    if len(data or ()) != wanted:
        raise Refused(f"data: {len(data or ())} values, where {wanted} are asked for; {remedy}.")


def check_endpoint(values: Mapping[str, Any], wanted: int) -> None:
    """Whether an object is a call of an endpoint, which its address names.

    Raises:
        Refused: naming the field.
    """
    if values.get("fn_index") is not None:
        raise Refused("fn_index: the address says already what is called; leave it out.")
    check_count(values.get("data"), wanted, "see docs/api.md")


def check_files(values: Any, is_own: Callable[[str], bool]) -> None:
    """Whether every file that is spoken of was uploaded here: an address is never fetched.

    Args:
        is_own: whether an address, with its host, is one of this page.

    Raises:
        Refused: naming the field.
    """
    for place, found in _objects(values, ""):
        meta = found.get("meta")
        if not (isinstance(meta, dict) and meta.get("_type") == _FILE) and "path" not in found:
            continue
        path, url = found.get("path"), found.get("url")
        if isinstance(path, str) and _ADDRESS.match(path):
            raise Refused(
                f"{place}.path: it is an address; upload the file and send what the upload returned."
            )
        if isinstance(url, str) and _ADDRESS.match(url) and not is_own(url):
            raise Refused(
                f"{place}.url: it leads elsewhere; upload the file and send what the upload returned."
            )


def replace_names(value: Any, path_of: Callable[[str], str | None], place: str = "") -> Any:
    """The same with a path in the place of the name of each file, see ``file_names``.

    Only of what Gradio takes for a file; a name in other words is for whoever reads them.

    Args:
        path_of: the path that a name stands for; None if it stands for nothing.

    Raises:
        Refused: something is said to be a file that is none of the visitor's.
    """
    if isinstance(value, list):
        return [replace_names(inner, path_of, f"{place}[{number}]") for number, inner in enumerate(value)]
    if not isinstance(value, dict):
        return value
    told, meta = value.get("path"), value.get("meta")
    if isinstance(told, str) and told and isinstance(meta, dict) and meta.get("_type") == _FILE:
        path = path_of(told)
        if path is None:
            raise Refused(f"{place}.path: it is no file that you uploaded here; upload it first.")
        value = {**value, "path": path}
    return {
        name: replace_names(inner, path_of, f"{place}.{_plain(name)}".lstrip("."))
        for name, inner in value.items()
    }


def is_on(url: str, host: str) -> bool:
    """Whether an address is below a host."""
    try:
        return urlsplit(url).netloc == host
    except ValueError:
        return False


def _check_leaf(place: str, value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused(f"{place}: it is no finite number.")
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        raise Refused(f"{place}: the number is too large.")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Refused(f"{place}: half of a character (a lone surrogate) is no text.") from None


def _leaves(values: Any) -> Iterator[tuple[str, Any]]:
    """All values that hold no others, and all names, with their place such as ``data[0].name``."""
    waiting = [("", values, 0)]
    while waiting:
        place, value, depth = waiting.pop()
        if depth > MOST_DEEP:
            raise Refused(f"{place[:80]}: it is nested too deeply.")
        if isinstance(value, dict):
            for name, inner in value.items():
                yield f"a name in {place or 'the object'}", name
                waiting.append((f"{place}.{_plain(name)}".lstrip("."), inner, depth + 1))
        elif isinstance(value, list):
            waiting += [(f"{place}[{number}]", inner, depth + 1) for number, inner in enumerate(value)]
        else:
            yield place, value


def _objects(value: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        yield place, value
        for name, inner in value.items():
            yield from _objects(inner, f"{place}.{_plain(name)}".lstrip("."))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _objects(inner, f"{place}[{number}]")


def _plain(name: str) -> str:
    """A name that may stand in an answer."""
    return re.sub(r"\W", "_", name)[:40]
