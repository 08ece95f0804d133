"""What files are called towards strangers: ``made/<seal>/<place in the home>``.

The seal is made of the place and of who was told it, with a key that lasts as long as the studio runs. So a
name opens one file, for one visitor, and says nothing about this machine; nothing has to be remembered.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path, PurePosixPath

_BEGIN = "made/"
_SERVED = ("outputs", "previews", "inputs", "cache")
_SEAL_LENGTH = 40


class FileNames:
    """Names of the files in a home's served folders."""

    def __init__(self, home: Path) -> None:
        self._home = home.resolve()
        self._key = secrets.token_bytes(32)

    def name(self, path: Path, visitor: str) -> str:
        """What a file is called towards a visitor."""
        try:
            place = path.resolve().relative_to(self._home).as_posix()
        except ValueError:  # nothing that is served
            return _BEGIN
        return f"{_BEGIN}{self._seal(place, visitor)}/{place}"

    def path(self, name: str, visitor: str) -> Path | None:
        """The file that a visitor means; None if it is not theirs, not served or gone."""
        if not visitor or not name.startswith(_BEGIN):
            return None
        seal, _, place = name.removeprefix(_BEGIN).partition("/")
        if not hmac.compare_digest(seal.encode("utf-8", "replace"), self._seal(place, visitor).encode()):
            return None
        if PurePosixPath(place).parts[0] not in _SERVED:
            return None
        path = self._home / place
        return path if path.is_file() else None

    def _seal(self, place: str, visitor: str) -> str:
        told = f"{visitor}\n{place}".encode("utf-8", "surrogatepass")
        return hmac.new(self._key, told, hashlib.sha256).hexdigest()[:_SEAL_LENGTH]
