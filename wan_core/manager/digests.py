"""Whether a file's bytes are the ones that were published."""

from __future__ import annotations

import hashlib
import re


class Digests:
    """Running digests of one file, fed from its first byte to its last.

    Args:
        size: bytes of the whole file.
        sha256: what the catalog demands, in hexadecimal; empty where it knows nothing.
        etag: what the hub says: a SHA-256, or the git blob id of a small file.
    """

    def __init__(self, size: int, sha256: str, etag: str = "") -> None:
        self._wanted = []
        if sha256:
            self._wanted.append((hashlib.sha256(), sha256))
        if re.fullmatch("[0-9a-f]{64}", etag):
            self._wanted.append((hashlib.sha256(), etag))
        elif re.fullmatch("[0-9a-f]{40}", etag):
            blob = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
            self._wanted.append((blob, etag))

    @property
    def known(self) -> bool:
        """Whether there is anything to compare with."""
        return bool(self._wanted)

    def update(self, data: bytes) -> None:
        for running, _ in self._wanted:
            running.update(data)

    def match(self) -> bool:
        """Whether what was fed is the published file."""
        return all(running.hexdigest() == wanted for running, wanted in self._wanted)
