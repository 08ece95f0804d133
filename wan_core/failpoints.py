"""Named places where a test has this program die or a disk refuse; in use they do nothing.

``WAN_STUDIO_FAILPOINT=NAME[:N[:WAY]][@FILE]`` arms one of them when the process starts: at its N-th passing
(the first by default) the process ends by SIGKILL, or WAY happens: the name of another signal (``SIGSEGV``)
or of an error of the system (``ENOSPC``). With ``@FILE`` it happens once in all processes: to the one that
can create it.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from pathlib import Path

VARIABLE = "WAN_STUDIO_FAILPOINT"

NAMES = ("commit", "committed", "step", "latents", "encode", "fsync", "rename", "renamed", "finish", "purge")
"""All places that there are, in the order in which a job passes most of them."""


class Failpoint:
    """One armed place; ``text`` is the variable's value."""

    def __init__(self, text: str) -> None:
        what, _, once = text.partition("@")
        self.name, number, way, *_ = *what.split(":"), "", ""
        if self.name not in NAMES:
            raise ValueError(f"{VARIABLE} names {self.name!r}; there are {', '.join(NAMES)}.")
        self._left = int(number or 1)
        self._way = way or "SIGKILL"
        self._once = Path(once) if once else None
        self._guard = threading.Lock()

    def reach(self) -> None:
        """Count a passing, and fail at the one that was asked for.

        Raises:
            OSError: as asked for.
        """
        with self._guard:
            self._left -= 1
            if self._left != 0 or not self._is_first():
                return
        if self._way.startswith("SIG"):
            signal.raise_signal(signal.Signals[self._way])  # to this thread: it goes no further
        code = getattr(errno, self._way)
        raise OSError(code, os.strerror(code))

    def _is_first(self) -> bool:
        if self._once is None:
            return True
        try:
            self._once.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


_armed = Failpoint(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


def failpoint(name: str) -> None:
    """A place called ``name``, one of ``NAMES``."""
    if _armed is not None and _armed.name == name:
        _armed.reach()
