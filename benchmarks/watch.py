"""Runs a program and measures its memory from outside; Linux only."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Watched:
    """What a finished program took.

    Attributes:
        seconds: by the clock.
        cpu_seconds: of all its threads and of the programs it started.
        peak_bytes: most resident memory at one time, of it and the programs it started. Pages of
            mapped files are among it; the system may drop them when memory is short.
        peak_own_bytes: the most that was no page of a file, and cannot be dropped.
        stdout: what it wrote there; ``stderr`` likewise.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    peak_own_bytes: int
    stdout: str
    stderr: str


def watch(command: list[str]) -> Watched:
    """Run ``command`` to its end, looking at its memory every 20 ms.

    Raises:
        subprocess.CalledProcessError: it failed; with what it wrote.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started, peak, own = time.perf_counter(), 0, 0
        process = subprocess.Popen(command, stdout=out, stderr=err)
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            total, anonymous = _memory_now(process.pid)
            peak, own = max(peak, total), max(own, anonymous)
            time.sleep(_LOOK_SECONDS)
        seconds = time.perf_counter() - started
        _, status, usage = ended
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, *texts)
    peak = max(peak, usage.ru_maxrss * 1024)  # the kernel's own record misses nothing between two looks
    return Watched(seconds, usage.ru_utime + usage.ru_stime, peak, own, *texts)


def _memory_now(pid: int) -> tuple[int, int]:
    """(resident bytes, those that belong to no file) of a process and its descendants."""
    total = anonymous = 0
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0, 0
    for member in family:
        try:
            memory = member.memory_info()
        except psutil.NoSuchProcess:
            continue
        total += memory.rss
        anonymous += memory.rss - memory.shared
    return total, anonymous


def forget(path: Path) -> None:
    """Have the system drop its copy of a file, so that the next reader waits for the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
