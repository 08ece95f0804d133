"""The pictures, videos and texts that requests name, kept in one folder under their content's digest.

A kept file never changes, so a request means the same tomorrow; the same content is kept once.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from wan_core.media.atomic import partial_file, settle
from wan_core.media.camera_poses import read_track
from wan_core.media.read import probe, read_image
from wan_core.media.sniff import FORMATS, GIF, KNOWN_FORMATS, TEXT, Kind, sniff
from wan_core.schema import MediaError
from wan_core.schema.inputs import InputName

MAX_BYTES = 2**31  # of one picture or video
MAX_TEXT_BYTES = 2**20
MAX_KEPT_BYTES = 10 * 2**30  # of all inputs together; beyond it, those that no job names go

_NAME = re.compile(r"[0-9a-f]{32}\.[a-z0-9]{2,5}")
_CHUNK = 2**20
_FRESH_SECONDS = 86_400  # a file so young may be about to be named, or be at work in the command line

_log = logging.getLogger(__name__)


class InputStore:
    """Kept inputs in ``folder``. Safe to use from any thread and process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, path: Path) -> InputName:
        """Copy a picture, a video or a text of camera poses in, and return the name to put in a request.

        Raises:
            MediaError: it is none of these, cannot be opened, or the disk refuses.
        """
        check_input(path)
        try:
            with partial_file(self.folder) as partial:
                digest = _copy(path, partial)
                name = f"{digest[:32]}.{sniff(partial).extension}"
                settle(partial, self.folder / name)
        except OSError as error:
            raise MediaError(
                f"{path.name} could not be kept ({error.strerror or error}); free some space or choose "
                "another file."
            ) from error
        return name

    def keep_picture(self, picture: np.ndarray) -> InputName:
        """Put a picture in that is no file yet: (H, W[, 3]), uint8, as PNG.

        Raises:
            MediaError: as ``keep``.
            OSError: the disk refuses.
        """
        with partial_file(self.folder) as partial:
            Image.fromarray(picture).save(partial, "PNG")
            return self.keep(partial)

    def path(self, name: InputName) -> Path:
        """Where a kept file lies.

        Raises:
            MediaError: it has been deleted, or ``name`` is none that ``keep`` gave.
        """
        path = self.folder / name
        if not _NAME.fullmatch(name) or not path.is_file():
            raise MediaError(f"The input {name[:40]} is gone; choose the file again.")
        return path

    def prune(self, named: Callable[[], set[InputName]], limit: int = MAX_KEPT_BYTES) -> list[InputName]:
        """Remove files that nobody names, the oldest first, until all take at most ``limit`` bytes.

        Files of the last day stay, as do all that ``named`` gives, which is asked only if there is too much.
        What the disk refuses to remove stays, too. Returns what was removed.
        """
        files = sorted(self._files(), key=lambda file: file[1])
        excess = sum(size for _, _, size in files) - limit
        if excess <= 0:
            return []
        kept, removed = named(), []
        for path, changed, size in files:
            if excess <= 0 or time.time() - changed < _FRESH_SECONDS:
                break
            if path.name in kept:
                continue
            with suppress(OSError):
                if path.stat().st_mtime == changed:  # else it has been kept anew meanwhile
                    path.unlink()
                    removed.append(path.name)
                    excess -= size
        if removed:
            _log.info("Removed %d inputs that no job names.", len(removed))
        return removed

    def _files(self) -> list[tuple[Path, float, int]]:
        """Kept files, when each was kept last, in seconds, and its size in bytes."""
        found = []
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            with suppress(OSError):
                if _NAME.fullmatch(path.name):
                    facts = path.stat()
                    found.append((path, facts.st_mtime, facts.st_size))
        return found

    def kind(self, name: InputName) -> Kind:
        """Whether a kept file is a picture, a video or a text; a GIF that does not move is a picture.

        Raises:
            MediaError: as ``path``.
        """
        path = self.path(name)
        found = FORMATS.get(path.suffix[1:], TEXT)
        return probe(path).kind if found is GIF else found.kind


def check_input(path: Path) -> Kind:
    """What a file is, if it can be used: pictures are decoded, of videos the first frame.

    Raises:
        MediaError: it cannot.
    """
    kind = sniff(path).kind
    size, most = path.stat().st_size, MAX_TEXT_BYTES if kind == "text" else MAX_BYTES
    if size > most:
        raise MediaError(f"{path.name} has {size / 2**20:.0f} MiB; the most is {most / 2**20:.0f}.")
    if kind == "text":
        _check_poses(path)
    elif kind == "image" or (kind := probe(path).kind) == "image":
        read_image(path)
    return kind


def _check_poses(path: Path) -> None:
    """The only texts that are of use."""
    try:
        read_track(path)
    except MediaError as error:
        raise MediaError(
            f"{path.name} is no picture or video ({KNOWN_FORMATS}), and as a text of camera poses it cannot "
            f"be used: {error}"
        ) from error


def _copy(source: Path, target: Path) -> str:
    """Copy at most ``MAX_BYTES`` and return the digest of what was written."""
    digest, room = hashlib.sha256(), MAX_BYTES
    with source.open("rb") as reading, target.open("xb") as writing:
        while chunk := reading.read(min(_CHUNK, room)):
            digest.update(chunk)
            writing.write(chunk)
            room -= len(chunk)
    return digest.hexdigest()
