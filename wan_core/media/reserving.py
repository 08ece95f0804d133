"""Names in the outputs folder that unfinished jobs hold.

A name is held by a hidden file beside it that only one process can create, from before the first frame until
the job is written down as done. So no other job or studio takes it meanwhile, and a job that is run again
after a crash replaces its own file instead of leaving it as a stranger.
"""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wan_core.media.naming import RESERVED_SUFFIX, new_path
from wan_core.schema import GenerationRequest

_STALE_SECONDS = 3600
_MAX_BYTES = 2**20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reservation:
    """Who holds which name: the file to be written, the id of its job, its request, and the hidden file."""

    path: Path
    job_id: str
    request: dict[str, Any]
    mark: Path


def reserve(folder: Path, request: GenerationRequest, job_id: str) -> Path:
    """A new file for a job, named by its request's template; the same again for the same job and request.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = request.model_dump(mode="json")
    for held in reservations(folder):
        if held.job_id == job_id and held.request == values:
            return held.path
    while True:
        path = new_path(folder, request, job_id)
        with suppress(FileExistsError):  # another process was quicker
            _write(_mark(path), {"name": path.name, "job": job_id, "request": values})
            return path


def release(path: Path) -> None:
    """Hold the name of a file no longer; nothing happens where it is not held, or the disk refuses."""
    with suppress(OSError):
        _mark(path).unlink(missing_ok=True)


def reservations(folder: Path) -> list[Reservation]:
    """All names that are held in a folder."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        marks = [Path(entry.path) for entry in entries if is_mark(entry.name)]
    return [held for mark in marks if (held := _read(mark)) is not None]


def is_mark(name: str) -> bool:
    """Whether a file with that name holds another's."""
    return name.startswith(".") and name.endswith(RESERVED_SUFFIX)


def sweep_reservations(folder: Path, unfinished: set[str]) -> None:
    """Let go of names whose jobs, known by their ids, are not ``unfinished``.

    What another home's studio may hold in a shared folder stays for an hour.
    """
    held = {reservation.mark: reservation for reservation in reservations(folder)}
    for mark in folder.glob(f".*{RESERVED_SUFFIX}"):
        if mark in held and held[mark].job_id in unfinished:
            continue
        with suppress(OSError):
            if time.time() - mark.stat().st_mtime > _STALE_SECONDS:
                mark.unlink()


def _mark(path: Path) -> Path:
    return path.with_name(f".{path.name}{RESERVED_SUFFIX}")


def _write(mark: Path, values: dict[str, Any]) -> None:
    with mark.open("x", encoding="utf-8") as file:
        try:
            json.dump(values, file)
            file.flush()
        except OSError:
            mark.unlink(missing_ok=True)
            raise


def _read(mark: Path) -> Reservation | None:
    """What a hidden file says; None where it is broken: its writer died."""
    try:
        if mark.stat().st_size > _MAX_BYTES:
            return None
        values = json.loads(mark.read_bytes())
        name, job_id, request = values["name"], values["job"], values["request"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(name, str) or Path(name).name != name or _mark(mark.with_name(name)) != mark:
        return None
    return Reservation(mark.with_name(name), str(job_id), request, mark)
