"""What a process that reads other people's files may take of the machine. Nothing here on Windows.

The limits are the kernel's: a process that passes one dies or gets no memory, and whoever waits for it learns
that it ended.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None

_BLOCK = 512  # bytes that ulimit -f counts in

_KEPT = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH")


def limited(command: Sequence[str], memory: int, cpu_seconds: int, written: int) -> list[str]:
    """A command under limits, all its own: bytes of addresses, seconds of all cores, bytes of any one file.

    A file that ``command`` names by a relative path stays the same file.
    """
    if resource is None or not Path("/bin/sh").exists():
        return list(command)
    limits = (
        "ulimit -c 0",
        f"ulimit -v {memory // 1024} 2>/dev/null",  # macOS knows no such limit
        f"ulimit -t {cpu_seconds}",
        f"ulimit -f {-(-written // _BLOCK)}",
    )
    return ["/bin/sh", "-c", "; ".join((*limits, 'exec "$0" "$@"')), *command]


def bare_environment() -> dict[str, str]:
    """The environment without logins, tokens and settings, for a process that needs none.

    It does without a thread and a heap per core: on a machine of many, they would take all its addresses.
    """
    kept = {name: value for name, value in os.environ.items() if name.upper() in _KEPT}
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return kept | single | {"MALLOC_ARENA_MAX": "2"}


def limit_memory(more: int) -> None:
    """Let this process take ``more`` bytes than it has now, write no file, and leave no core behind."""
    if resource is None:
        return
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (_addresses() + more,) * 2)
    for name in ("RLIMIT_FSIZE", "RLIMIT_CORE"):
        with suppress(OSError, ValueError):
            resource.setrlimit(getattr(resource, name), (0, 0))


def limit_time(cpu_seconds: int) -> None:
    """Let this process work for so long from now on; past that it is killed."""
    if resource is None:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(usage.ru_utime + usage.ru_stime) + 1 + cpu_seconds
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _addresses() -> int:
    """Bytes of addresses that this process has taken."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return 2**30
