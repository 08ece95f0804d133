"""A queue in one file, as a container: a ZIP with ``queue.json`` and the inputs under ``inputs/``.

    queue.json     {"wan_studio_queue": 1, "jobs": [{"wan_studio_request": {...}, "wan_studio_files": {...}}]}
    inputs/NAME    a picture, video or text of camera poses under the name that requests give it

The jobs stand in the order in which they are to run; each is what a finished video would hold of its request.
The file may come from anybody. All that its directory says is judged before anything is read, no name of it
ever becomes a path, and a file that is wrong in any of it is refused as a whole.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wan_core.media.atomic import whole_file
from wan_core.schema import MediaError

MANIFEST = "queue.json"
VERSION_KEY, JOBS_KEY = "wan_studio_queue", "jobs"
VERSION = 1

_INPUTS = "inputs/"
_INPUT = re.compile(r"inputs/([0-9a-f]{32}\.[a-z0-9]{2,5})")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_END = b"PK\x05\x06"
_LARGE_END = b"PK\x06\x07"
_END_BYTES, _LARGE_END_BYTES = 22, 20
_ENCRYPTED = 1
_CHUNK = 2**20
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    ValueError,
    struct.error,
    NotImplementedError,
)


@dataclass(frozen=True)
class QueueLimits:
    """What a file of a queue may have.

    Attributes:
        jobs: of the manifest.
        manifest: its bytes.
        members: files, the manifest included.
        directory: bytes of the ZIP's own directory.
        total: bytes of all files together, unpacked; below 4 GiB, so that no ZIP needs 64-bit places.
    """

    jobs: int = 1000
    manifest: int = 2**25
    members: int = 2000
    directory: int = 2**20
    total: int = 2**32 - 2**26


LIMITS = QueueLimits()


class QueueZip:
    """An open file of a queue whose directory is in order; ``jobs`` are its manifest's, as they are told."""

    def __init__(self, name: str, archive: zipfile.ZipFile, limits: QueueLimits) -> None:
        self._name, self._archive = name, archive
        self._members = _checked(name, archive.infolist(), limits)
        self.jobs = self._read_jobs(limits)

    def holds(self, name: str) -> bool:
        """Whether an input of this name lies in the file."""
        return f"{_INPUTS}{name}" in self._members

    def copy(self, name: str, target: Path) -> str:
        """Write an input to ``target``, which is new, and return the SHA-256 of what was written.

        Raises:
            MediaError: it is damaged.
            OSError: the disk refuses.
        """
        info, digest = self._members[f"{_INPUTS}{name}"], hashlib.sha256()
        with target.open("xb") as writing:
            for chunk in self._chunks(info):
                digest.update(chunk)
                writing.write(chunk)
        return digest.hexdigest()

    def _chunks(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """At most as many bytes as the directory said there are."""
        room = info.file_size
        try:
            with self._archive.open(info) as reading:
                while chunk := reading.read(min(_CHUNK, room + 1)):
                    room -= len(chunk)
                    if room < 0:
                        raise zipfile.BadZipFile
                    yield chunk
        except _DAMAGE as error:
            raise MediaError(f"{self._name} is a damaged ZIP; choose another copy of it.") from error

    def _read_jobs(self, limits: QueueLimits) -> Sequence[Any]:
        try:
            told = json.loads(b"".join(self._chunks(self._members[MANIFEST])))
            json.dumps(told, ensure_ascii=False).encode()  # half characters are no text
        except (ValueError, RecursionError) as error:
            raise MediaError(f"{MANIFEST} in {self._name} is no JSON; choose another copy.") from error
        version = told.get(VERSION_KEY) if isinstance(told, dict) else None
        jobs = told.get(JOBS_KEY) if isinstance(told, dict) else None
        if not isinstance(version, int) or isinstance(version, bool) or not isinstance(jobs, list):
            raise MediaError(f"{self._name} is no queue of this studio; choose a file that Save queue made.")
        if version != VERSION:
            raise MediaError(f"{self._name} is a queue of version {version}; this studio reads {VERSION}.")
        if len(jobs) > limits.jobs:
            raise MediaError(f"{self._name} holds {len(jobs)} jobs; a queue may have {limits.jobs}.")
        return jobs


@contextmanager
def open_queue(path: Path, limits: QueueLimits = LIMITS) -> Iterator[QueueZip]:
    """Lend the queue in a file; only its directory and manifest have been read.

    Raises:
        MediaError: it is none, is damaged, too large, or holds what no queue holds.
    """
    try:
        _check_end(path, limits)
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise MediaError(f"{path.name} cannot be opened; check that it exists.") from error
    except _DAMAGE as error:
        raise MediaError(f"{path.name} is a damaged ZIP; choose another copy of it.") from error
    with archive:
        yield QueueZip(path.name, archive, limits)


def write_queue(
    path: Path, jobs: Sequence[Mapping[str, Any]], inputs: Mapping[str, Path], limits: QueueLimits = LIMITS
) -> None:
    """Write a queue: what is told of its jobs, in order, and the files that they name.

    Raises:
        MediaError: there is more of it than a queue may have.
        OSError: the disk refuses, or an input is gone; nothing is left behind.
    """
    manifest = json.dumps({VERSION_KEY: VERSION, JOBS_KEY: list(jobs)}, ensure_ascii=False).encode()
    total = len(manifest) + sum(file.stat().st_size for file in inputs.values())
    if total > limits.total:
        raise MediaError(
            f"The queue with its inputs has {total / 2**30:.1f} GiB; a file takes up to "
            f"{limits.total / 2**30:.1f}."
        )
    if len(jobs) > limits.jobs or len(manifest) > limits.manifest or len(inputs) >= limits.members:
        raise MediaError(f"The queue has {len(jobs)} jobs, too many for a file.")
    with whole_file(path) as partial, zipfile.ZipFile(partial, "x", allowZip64=False) as archive:
        archive.writestr(zipfile.ZipInfo(MANIFEST), manifest)
        for name, file in inputs.items():
            info = zipfile.ZipInfo(f"{_INPUTS}{name}")
            info.file_size = file.stat().st_size
            with file.open("rb") as reading, archive.open(info, "w") as writing:
                shutil.copyfileobj(reading, writing, _CHUNK)


def _check_end(path: Path, limits: QueueLimits) -> None:
    """Judge a ZIP by its last bytes, before its directory is taken into memory.

    Raises:
        MediaError: it is no ZIP without a comment, or its directory is larger than any queue's.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - _LARGE_END_BYTES - _END_BYTES, 0))
        tail = file.read()
    end = tail[-_END_BYTES:]
    if len(end) < _END_BYTES or not end.startswith(_END) or end[-2:] != b"\0\0":
        raise MediaError(f"{path.name} is no queue of this studio; choose a file that Save queue made.")
    members, directory = struct.unpack_from("<HI", end, 10)
    is_large = tail[:-_END_BYTES].startswith(_LARGE_END)
    if is_large or members > limits.members or directory > limits.directory:
        raise MediaError(f"{path.name} holds more files than a queue may have ({limits.members}).")


def _checked(name: str, infos: Sequence[zipfile.ZipInfo], limits: QueueLimits) -> dict[str, zipfile.ZipInfo]:
    """The files of a queue by name.

    Raises:
        MediaError: one of them is none that a queue has, or there is too much.
    """
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        shown = ascii(info.orig_filename)[1:-1][:60]
        if info.orig_filename == _INPUTS and not info.file_size:
            continue  # a folder of its own, as some programs write it
        if info.orig_filename != MANIFEST and not _INPUT.fullmatch(info.orig_filename):
            raise MediaError(f"{name} holds {shown}, which is no part of a queue; nothing of it was taken.")
        if info.orig_filename in members:
            raise MediaError(f"{name} holds {shown} twice; nothing of it was taken.")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG) or info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS:
            raise MediaError(f"{shown} in {name} is a link, locked or packed in an unknown way.")
        members[info.orig_filename] = info
    if MANIFEST not in members:
        raise MediaError(f"{name} is no queue of this studio; choose a file that Save queue made.")
    total = sum(info.file_size for info in members.values())
    if total > limits.total:
        raise MediaError(
            f"{name} unpacks to {total / 2**30:.1f} GiB; a queue may have {limits.total / 2**30:.1f}."
        )
    if len(members) > limits.members or members[MANIFEST].file_size > limits.manifest:
        raise MediaError(f"{name} holds more files than a queue may have ({limits.members}).")
    return members
