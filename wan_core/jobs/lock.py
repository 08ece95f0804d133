"""One studio per home folder, and never two workers on one GPU by accident."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from wan_core.schema.errors import StoreError

WAIT_SECONDS = 5.0

if sys.platform == "win32":
    import msvcrt

    def _try_lock(fd: int) -> None:
        os.lseek(fd, 1 << 20, os.SEEK_SET)  # far behind the text, which stays readable for others
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


class HomeLock:
    """An exclusive lock on a home folder, held by this process and every child given ``fd``.

    The system lets go of it when the last holder ends, however it ends. The worker holds it too, so a
    new studio cannot start beside the worker of a killed one: whoever has the lock knows that every job
    marked as running has lost its worker.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.fd: int | None = None

    def acquire(self, wait_seconds: float = WAIT_SECONDS) -> None:
        """Take the lock, waiting a moment for a worker whose studio has just ended.

        Raises:
            StoreError: naming the folder and the process that has it.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.home / "studio.lock", os.O_RDWR | os.O_CREAT, 0o644)
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                _try_lock(fd)
                break
            except OSError:
                if time.monotonic() < deadline:
                    time.sleep(0.05)
                    continue
                owner = os.pread(fd, 20, 0).decode("ascii", "replace").strip() if hasattr(os, "pread") else ""
                os.close(fd)
                raise StoreError(
                    f"Another Wan Studio (process {owner or 'unknown'}) is using {self.home}; "
                    "close it, or choose another home folder."
                ) from None
        os.ftruncate(fd, 0)
        os.write(fd, str(os.getpid()).encode())
        self.fd = fd

    def release(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
