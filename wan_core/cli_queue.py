"""``python -m wan_core queue``: what waits, and the queue as a file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wan_core.jobs.queue_file import Line, load_queue, save_queue, waiting
from wan_core.jobs.store import JobStore
from wan_core.schema import InvalidRequest, Settings

_SHOWN = 60  # characters of a prompt


def add_queue_options(parser: argparse.ArgumentParser) -> None:
    """What ``queue`` does."""
    parser.add_argument("action", nargs="?", choices=("list", "save", "load"), default="list")
    parser.add_argument("file", nargs="?", type=Path, help="the ZIP to write, or to add to what waits")


def run_queue(options: argparse.Namespace, settings: Settings) -> int:
    """List what waits, write it to a ZIP with its inputs, or add the jobs of a ZIP; a studio runs them.

    Returns 1 if a job was not added.

    Raises:
        InvalidRequest: no file is named, or it cannot be written.
        MediaError: it is no queue; nothing was added.
        StoreError: the home has no usable job store.
    """
    if options.action != "list" and options.file is None:
        raise InvalidRequest("file", "none is named", f"Write: queue {options.action} FILE.")
    store = JobStore(settings.store_path)
    try:
        return _ACTIONS[options.action](options.file, settings, store)
    except OSError as error:
        raise InvalidRequest("file", f"{options.file} cannot be used ({error})", "Name another.") from error
    finally:
        store.close()


def _list(file: Path | None, settings: Settings, store: JobStore) -> int:
    for job in store.queue():
        words = " ".join(job.request.prompt.split())[:_SHOWN]
        sys.stdout.write(f"{job.status:<8} {job.request.model:<18} {words}\n")
    return 0


def _save(file: Path, settings: Settings, store: JobStore) -> int:
    requests = waiting(store)
    _complain(save_queue(requests, file, settings))
    sys.stdout.write(f"{len(requests)} jobs are in {file}.\n")
    return 0


def _load(file: Path, settings: Settings, store: JobStore) -> int:
    loaded = load_queue(file, settings, store.submit)
    _complain((*loaded.refused, *loaded.noted))
    sys.stdout.write(f"{len(loaded.jobs)} of {loaded.total} jobs were added; a studio runs them.\n")
    return 1 if loaded.refused else 0


def _complain(lines: tuple[Line, ...]) -> None:
    for line in lines:
        words = " ".join(line.prompt.split())[:_SHOWN]
        for said in line.said:
            sys.stderr.write(f"{line.number}. {words}: {said}\n")


_ACTIONS = {"list": _list, "save": _save, "load": _load}
