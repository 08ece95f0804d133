"""The SHA-256 of files, remembered by path, size and time of change. Imports no torch.

A file is read once; while it stays as it is, its digest comes from ``hashes.json`` in the home.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
from pathlib import Path

from wan_core.media.atomic import whole_file
from wan_core.schema import Settings

_BLOCK = 2**22
_MAX_BYTES = 4 * 2**20  # of the cache
_MOST = 5000  # files
_DIGEST = re.compile("[0-9a-f]{64}")

log = logging.getLogger(__name__)


class FileHashes:
    """Digests of files, for any thread; ``settings.home`` keeps them."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.home / "hashes.json"
        self._lock = threading.Lock()

    def known(self, path: Path) -> str | None:
        """The digest of a file that has been read before and has not changed since; never reads it."""
        try:
            return self._read().get(state_of(path))
        except OSError:
            return None

    def digest(self, path: Path) -> str:
        """The digest of a file, which is read if it has changed.

        Raises:
            OSError: it cannot be read.
        """
        key = state_of(path)
        if known := self._read().get(key):
            return known
        running = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                running.update(block)
        if state_of(path) == key:
            self._keep(key, running.hexdigest())
        return running.hexdigest()

    def _keep(self, key: str, digest: str) -> None:
        with self._lock:
            known = dict(list(self._read().items())[1 - _MOST :]) | {key: digest}
            try:
                with whole_file(self._path) as partial:
                    partial.write_text(json.dumps(known), encoding="utf-8")
            except OSError as error:
                log.warning("The digests of files cannot be kept in %s: %s", self._path, error)

    def _read(self) -> dict[str, str]:
        try:
            if self._path.stat().st_size > _MAX_BYTES:
                return {}
            known = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(known, dict):
            return {}
        return {key: value for key, value in known.items() if isinstance(value, str) and _DIGEST.match(value)}


def state_of(path: Path) -> str:
    """A text that is another one once a file has changed, without reading it.

    Raises:
        OSError: it is not there.
    """
    facts = path.stat()
    return f"{path.resolve()}|{facts.st_size}|{facts.st_mtime_ns}"
