"""Results in the outputs folder that no job has: made by an older version, or lost with a database.

The request is in the file itself, so the history can have them again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from wan_core.jobs.store import JobStore
from wan_core.media.comments import SETTINGS_FILE
from wan_core.media.metadata import read_request
from wan_core.media.moving import MOVING_SUFFIX
from wan_core.media.reserving import release, reservations, sweep_reservations
from wan_core.media.write import POSTER_SUFFIX, write_thumbnail
from wan_core.schema import GenerationResult, MediaError

log = logging.getLogger(__name__)

SUFFIXES = frozenset((".mp4", ".webm", ".gif", ".png", ".jpg", ".jpeg", ".webp", ".zip"))
_NO_RESULTS = (POSTER_SUFFIX, MOVING_SUFFIX)


def recover(store: JobStore, outputs: Path, go_on: Callable[[], bool] = lambda: True) -> int:
    """Take results in ``outputs`` into the history that it does not have; returns how many these were.

    A job whose file has been moved within the folder, or with it, is told the new place. Files without a
    request of this studio, and other formats of a result that is there, are left alone. It ends early when
    ``go_on()`` does not hold.

    Raises:
        StoreError, OSError: the store or the folder cannot be used.
    """
    paths = list(_results_in(outputs))  # in this order: a job that ends meanwhile is among those known
    held = reservations(outputs)
    known, unfinished = store.results(), {job.id for job in store.queue()}
    sweep_reservations(outputs, unfinished)
    coming = {reservation.path for reservation in held if reservation.job_id in unfinished}
    stems = {Path(name).stem for name in known}
    found = 0
    for path in paths:
        if not go_on():
            break
        if path in coming:  # its job runs again and will have it
            continue
        if path.name in known:
            job_id, place = known[path.name]
            if place != path and not place.exists():
                store.relocate(job_id, path)
        elif path.stem not in stems and (result := _result_of(path)) is not None:
            store.adopt(result, path.stat().st_mtime)
            release(path)
            stems.add(path.stem)
            found += 1
    if found:
        log.info("%d results in %s were found again.", found, outputs)
    return found


def _results_in(outputs: Path) -> Iterator[Path]:
    """Files and folders of frames that may be results, the oldest first."""
    if not outputs.is_dir():
        return
    clips = {path.parent for path in outputs.rglob(SETTINGS_FILE)} - {outputs}
    files = [
        path
        for path in outputs.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not path.name.endswith(_NO_RESULTS)
        and path.parent not in clips
        and path.is_file()
    ]
    yield from sorted([*clips, *files], key=lambda path: path.stat().st_mtime)


def _result_of(path: Path) -> GenerationResult | None:
    try:
        request = read_request(path)
    except MediaError:  # not one of ours, or made without settings
        return None
    poster: Path | None = path.with_name(f"{path.stem}{POSTER_SUFFIX}")
    try:
        if not poster.is_file():
            write_thumbnail(path, poster)
    except MediaError as error:
        if path.is_file() and path.suffix != ".zip":
            log.warning("%s is damaged and not taken into the history: %s", path, error)
            return None
        poster = None  # frames have none
    return GenerationResult(video=path, thumbnail=poster, request=request, seconds={}, peak_bytes=0)
