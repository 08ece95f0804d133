"""Keeps the home in order: inputs that nobody needs, deletions, lost results. Imports no torch."""

from __future__ import annotations

import logging
import threading
from itertools import count

from wan_core.jobs.past import UNDO_SECONDS
from wan_core.jobs.recovery import recover
from wan_core.jobs.store import JobStore
from wan_core.media.atomic import sweep_partials
from wan_core.media.inputs import InputStore
from wan_core.schema import Settings, StoreError
from wan_core.schema.inputs import InputName

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_ROUNDS = 30.0
_ROUNDS_BETWEEN_SWEEPS = 120


def tidy_inputs(store: JobStore, inputs: InputStore) -> list[InputName]:
    """Remove the oldest inputs that no job of the queue or history names, if there are too many.

    Returns what was removed; see ``InputStore.prune``.

    Raises:
        StoreError: the store cannot be read; nothing is removed.
    """
    return inputs.prune(lambda: named_inputs(store))


def named_inputs(store: JobStore) -> set[InputName]:
    """The inputs of all jobs that there are, whatever has become of them."""
    return set().union(*(request.named_files() for request in store.requests()))


class Caretaker:
    """A thread that removes what was deleted, and at first takes lost results into the history.

    What an earlier studio deleted goes at once: nobody is left to undo it.
    """

    def __init__(self, store: JobStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="caretaker", daemon=True)

    def start(self) -> None:
        self._purge(older_than=0.0)
        self._thread.start()

    def stop(self) -> None:
        """End within the file at hand."""
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            recover(self._store, self._settings.outputs_dir, lambda: not self._stopping.is_set())
        except (StoreError, OSError) as error:
            log.warning("Lost results could not be looked for: %s", error)
        for number in count():
            if number % _ROUNDS_BETWEEN_SWEEPS == 0:
                self._sweep()
            if self._stopping.wait(_SECONDS_BETWEEN_ROUNDS):
                return
            self._purge(older_than=UNDO_SECONDS)

    def _sweep(self) -> None:
        """Remove what killed processes left half written."""
        home = self._settings
        for folder in (home.home, home.outputs_dir, home.inputs_dir, home.latents_dir, home.previews_dir):
            sweep_partials(folder)

    def _purge(self, older_than: float) -> None:
        try:
            self._store.purge(older_than)
            self._store.sweep_previews()
            self._store.sweep_checkpoints()
        except (StoreError, OSError) as error:
            log.warning("What was deleted could not be removed: %s", error)
