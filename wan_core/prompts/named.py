"""Things kept by name: a JSON file each in a folder, whole or not at all."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

from wan_core.media.atomic import remove, whole_file
from wan_core.schema import InvalidRequest

FILE_VERSION = 1
MOST = 500
MAX_BYTES = 256 * 1024

_NAME = re.compile(r"[^\W_](?:[\w .,()+&'!-]{0,58}[\w)!])?")
_TAKEN = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)

Fields = dict[str, Any]


def safe_name(text: Any, field: str = "name") -> str:
    """A name that is a file name on every system.

    Raises:
        InvalidRequest: it is none.
    """
    name = unicodedata.normalize("NFC", text).strip() if isinstance(text, str) else ""
    if not _NAME.fullmatch(name) or _TAKEN.fullmatch(name):
        raise InvalidRequest(
            field,
            f"{str(text)[:60]!r} is no name to keep something under",
            "Take up to 60 letters, digits and spaces, beginning with a letter or a digit.",
        )
    return name


class NamedFiles:
    """Things of one kind, in a folder that may not be there yet.

    Args:
        folder: where they are.
        kind: what an error calls one of them, "preset".
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self._kind = kind

    def names(self) -> list[str]:
        """The names there are, in the order of the alphabet."""
        found = (unicodedata.normalize("NFC", path.stem) for path in self.folder.glob("*.json"))
        return sorted((name for name in found if _NAME.fullmatch(name)), key=str.casefold)[:MOST]

    def read(self, name: str) -> Fields:
        """What is kept under a name.

        Raises:
            InvalidRequest: nothing is, or its file is damaged.
        """
        path = self._path(name)
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ValueError("too large")
            found = json.loads(path.read_bytes())
        except FileNotFoundError as error:
            there = ", ".join(self.names()[:12]) or "none yet"
            raise InvalidRequest(
                self._kind, f"there is no {name!r}", f"Choose one of those there are: {there}."
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            raise self._damaged(name) from error
        if not isinstance(found, dict) or found.pop("version", None) != FILE_VERSION:
            raise self._damaged(name)
        return found

    def save(self, name: str, fields: Fields) -> str:
        """Keep something, in place of what was under its name; returns the name as it is kept.

        Raises:
            InvalidRequest: the name is none, or there are too many.
            OSError: the disk refuses.
        """
        path = self._path(name)
        text = json.dumps({"version": FILE_VERSION, **fields}, indent=2, ensure_ascii=False) + "\n"
        if not path.exists() and len(self.names()) >= MOST:
            raise InvalidRequest(self._kind, f"there are {MOST} already", "Delete one first.")
        if len(text.encode()) > MAX_BYTES:
            raise InvalidRequest(self._kind, f"{name!r} is too long to be kept", "Shorten its texts.")
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")
        return path.stem

    def delete(self, name: str) -> None:
        """Remove one; nothing happens if it is not there.

        Raises:
            InvalidRequest: the name is none.
            OSError: the disk refuses.
        """
        remove(self._path(name))

    def _path(self, name: str) -> Path:
        return self.folder / f"{safe_name(name, self._kind)}.json"

    def _damaged(self, name: str) -> InvalidRequest:
        return InvalidRequest(
            self._kind, f"the file of {name!r} is damaged, or of a newer version", "Save it again."
        )
