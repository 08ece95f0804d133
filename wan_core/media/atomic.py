"""Files that appear whole or not at all.

A file is written beside its final name, flushed to the disk and then renamed, so a crash or a full disk
leaves no half file under a name that somebody may open.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wan_core.failpoints import failpoint

_STALE_SECONDS = 3600


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Lend a name beside ``path`` to write to; what is there at the end of the block becomes ``path``.

    An exception in the block leaves nothing behind, and a file that was there before as it was.

    Raises:
        OSError: the disk refuses.
    """
    with partial_file(path.parent, path.suffix) as partial:
        yield partial
        settle(partial, path)


@contextmanager
def partial_file(folder: Path, suffix: str = "") -> Iterator[Path]:
    """Lend an unused name in ``folder``, which is made; what is still there at the end is removed.

    Raises:
        OSError: the folder cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{secrets.token_hex(8)}{suffix}.partial"
    try:
        yield partial
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Lend an empty folder beside ``path``; with what is in it at the end of the block it becomes ``path``.

    A folder that was there is replaced. An exception in the block leaves nothing behind.

    Raises:
        OSError: the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{secrets.token_hex(8)}.partial"
    partial.mkdir()
    try:
        yield partial
        failpoint("fsync")
        for file in partial.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        failpoint("rename")
        if path.is_dir():
            shutil.rmtree(path)
        partial.rename(path)
        failpoint("renamed")
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def settle(partial: Path, path: Path) -> None:
    """Flush ``partial`` to the disk and give it its final name in the same folder.

    Raises:
        OSError: the disk refuses.
    """
    failpoint("fsync")
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    failpoint("rename")
    partial.replace(path)
    failpoint("renamed")


def remove(path: Path) -> None:
    """Delete a file, or a folder with what is in it; nothing happens if it is not there.

    Raises:
        OSError: the disk refuses.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sweep_partials(folder: Path) -> None:
    """Remove what killed processes left half written in ``folder``, an hour ago or earlier."""
    for path in folder.glob(".*.partial*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                remove(path)
