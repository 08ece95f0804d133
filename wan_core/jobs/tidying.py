"""Keeps the inputs from filling the disk: jobs say which are still of use. Imports no torch."""

from __future__ import annotations

from wan_core.jobs.store import JobStore
from wan_core.media.inputs import InputStore
from wan_core.schema.inputs import InputName

_ALL = -1  # SQLite's way to say that there is no limit


def tidy_inputs(store: JobStore, inputs: InputStore) -> list[InputName]:
    """Remove the oldest inputs that no job of the queue or history names, if there are too many.

    Returns what was removed; see ``InputStore.prune``.

    Raises:
        StoreError: the store cannot be read; nothing is removed.
    """
    return inputs.prune(lambda: named_inputs(store))


def named_inputs(store: JobStore) -> set[InputName]:
    """The inputs of all jobs that there are, whatever has become of them."""
    return set().union(*(job.request.named_files() for job in store.list(limit=_ALL)))
