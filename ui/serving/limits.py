"""How much one visitor and all of them together may ask for, and in which time."""

from __future__ import annotations

import shutil
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ui.serving.access import Mode

MAX_BODY = 2**20
"""Bytes of a request; the longest prompt, of 100,000 characters, fits in any language."""

MAX_UPLOAD = 2**29
"""Bytes of a request that brings a picture or a video."""

_MOST_KEYS = 10_000


@dataclass(frozen=True)
class Limits:
    """Figures of the gate.

    Attributes:
        body: bytes of a request.
        upload: bytes of a request that brings media.
        room: bytes that all uploads may take together; None is all of the disk but ``spare``.
        spare: bytes of the disk that uploads leave free.
        body_seconds: in which a request has to be there; an upload has to go on all this while.
        logins: failed ones a minute, of one address.
        posts: requests that change something, a minute, of one visitor; None is any number.
        all_posts: the same of everybody together.
        streams: answers that go on for as long as a page is open, of one visitor.
    """

    body: int = MAX_BODY
    upload: int = MAX_UPLOAD
    room: int | None = None
    spare: int = 2**28
    body_seconds: float = 15.0
    logins: int = 10
    posts: int | None = None
    all_posts: int | None = None
    streams: int = 64


LIMITS: dict[Mode, Limits] = {
    "local": Limits(streams=1024),  # programs of one's own: fifty clients keep two open each
    "auth": Limits(posts=1200, all_posts=12_000),
    "public": Limits(body=2**18, upload=200_000_000, room=2**32, posts=300, all_posts=3000, streams=12),
}


class Throttle:
    """So many within so many seconds, for each key; the keys longest unseen are forgotten first."""

    def __init__(self, most: int | None, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic):
        self._most, self._seconds, self._clock = most, seconds, clock
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def is_full(self, key: str) -> bool:
        """Whether the next one would be too many."""
        with self._lock:
            return self._most is not None and len(self._recent(key)) >= self._most

    def count(self, key: str) -> None:
        """Another one."""
        if self._most is None:
            return
        with self._lock:
            self._recent(key).append(self._clock())

    def takes(self, key: str) -> bool:
        """Count another one, unless it is too many."""
        if self.is_full(key):
            return False
        self.count(key)
        return True

    def _recent(self, key: str) -> deque[float]:
        times = self._seen.setdefault(key, deque(maxlen=self._most))
        self._seen.move_to_end(key)
        while times and times[0] <= self._clock() - self._seconds:
            times.popleft()
        while len(self._seen) > _MOST_KEYS:
            self._seen.popitem(last=False)
        return times


class Room:
    """The room that uploads have on the disk.

    Where it is too small, those that nobody has used for an hour go first: a job has copies of its own.
    """

    _OLD = 3600.0

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder, self._limits = folder, limits
        self._coming = 0
        self._lock = threading.Lock()

    def take(self, more: int) -> bool:
        """Set so many bytes aside for an upload that begins; False where they do not fit."""
        with self._lock:
            fits = self._fits(more) or (self._clear() > 0 and self._fits(more))
            self._coming += more if fits else 0
            return fits

    def give_back(self, bytes_: int) -> None:
        """An upload for which they were set aside has ended: what came of it is counted on the disk."""
        with self._lock:
            self._coming -= bytes_

    def _fits(self, more: int) -> bool:
        more += self._coming
        self._folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self._folder).free < more + self._limits.spare:
            return False
        room = self._limits.room
        return room is None or sum(size for _, size, _ in self._files()) + more <= room

    def _clear(self) -> int:
        old = [path for path, _, used in self._files() if used < time.time() - self._OLD]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)

    def _files(self) -> list[tuple[Path, int, float]]:
        """(path, bytes, time of the last change) of all uploads."""
        found = []
        for path in self._folder.glob("*/*"):
            try:
                status = path.stat()
            except OSError:  # just removed
                continue
            if path.is_file():
                found.append((path, status.st_size, status.st_mtime))
        return found
