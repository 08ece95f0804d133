"""Results in other formats, made when they are asked for and kept for a day."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from wan_core.jobs.job import Job
from wan_core.media.exporting import export_to
from wan_core.media.naming import safe_stem
from wan_core.schema import InvalidRequest, MediaError, Settings
from wan_core.schema.output import SUFFIXES, OutputOptions

FORMATS = ("mp4", "webm", "gif", "webp", "png", "last-frame")
"""What can be downloaded of a video."""

PLAYABLE = "play"
"""Not a download: what every browser plays, for results that it cannot."""

_KEPT_SECONDS = 24 * 3600


def exports_dir(settings: Settings) -> Path:
    """Where they lie, a folder for each job."""
    return settings.home / "cache" / "exports"


class Exports:
    """Makes exports one after the other in a thread of its own; the page asks until its file is there."""

    def __init__(self, settings: Settings) -> None:
        self._folder = exports_dir(settings)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="exports")
        self._lock = threading.Lock()
        self._under_way: dict[Path, Future[Path]] = {}
        self._pool.submit(tidy, self._folder)

    def get(self, job: Job, format: str) -> Path | None:
        """The file of a result in a format; None while it is being made.

        Raises:
            InvalidRequest: there is no such format, or nothing to export.
            MediaError: it could not be made; asking again tries again.
        """
        result = job.result.video if job.result else None
        if result is None or not result.exists() or format not in (*FORMATS, PLAYABLE):
            raise InvalidRequest("format", "there is nothing to download", "Make the video again.")
        if format != PLAYABLE and result.suffix == SUFFIXES.get(format) and result.is_file():
            return result
        target = self._target(job, result, format)
        with self._lock:
            under_way = self._under_way.get(target)
            if under_way is None:
                if target.is_file() and target.stat().st_mtime >= result.stat().st_mtime:
                    return target
                self._under_way[target] = self._pool.submit(self._make, result, format, target)
                return None
            if not under_way.done():
                return None
            del self._under_way[target]
        return under_way.result()

    def _target(self, job: Job, result: Path, format: str) -> Path:
        stem = safe_stem(result.name if result.is_dir() else result.stem)
        name = {"last-frame": f"{stem}-last.png", PLAYABLE: f"{stem}-h264.mp4"}.get(format)
        return self._folder / job.id / (name or f"{stem}{SUFFIXES[format]}")

    def _make(self, result: Path, format: str, target: Path) -> Path:
        tidy(self._folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        if format == PLAYABLE:
            return export_to(result, "mp4", target, OutputOptions(codec="h264", embed_metadata=False))
        try:
            return export_to(result, format, target, OutputOptions())
        except OSError as error:
            raise MediaError(f"{target.name} could not be written ({error.strerror or error}).") from error


def tidy(exports: Path) -> None:
    """Remove what was made more than a day ago."""
    for folder in exports.glob("*"):
        with suppress(OSError):
            if folder.stat().st_mtime < time.time() - _KEPT_SECONDS:
                shutil.rmtree(folder)
