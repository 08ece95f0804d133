"""What the web process does in the background, and how far it has come. No torch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from wan_core.schema import Cancelled, Emit, ProgressEvent, WanStudioError
from wan_core.schema.status import JobStatus

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far something has come. ``step`` of ``total`` are bytes; ``error`` is one sentence."""

    state: JobStatus = JobStatus.QUEUED
    step: int = 0
    total: int = 0
    message: str = ""
    error: str = ""

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        return min(self.step / self.total, 1.0) if self.total else 0.0


P = TypeVar("P", bound=Progress)


class Lanes(Generic[P]):
    """Does things by their keys, one after the other in each lane; safe to use from any thread.

    Args:
        names: those of the lanes.
    """

    def __init__(self, *names: str) -> None:
        self._lanes = {name: ThreadPoolExecutor(1, name) for name in names}
        self._lock = threading.RLock()
        self._known: dict[str, P] = {}
        self._stops: dict[str, threading.Event] = {}

    def all(self) -> list[P]:
        """The latest of each key, in the order in which they were begun first."""
        with self._lock:
            return list(self._known.values())

    def of(self, key: str) -> P | None:
        """The latest of a key."""
        return self._known.get(key)

    @property
    def are_active(self) -> bool:
        """Whether anything runs or waits."""
        return any(not one.state.is_final for one in self.all())

    def cancel(self, key: str) -> None:
        """Stop it, at once if it waits and within half a second if it runs; what has arrived is kept."""
        with self._lock:
            if not self._is_under_way(key):
                return
            self._stops[key].set()
            if self._known[key].state is JobStatus.QUEUED:
                self._change(key, state=JobStatus.CANCELLED)

    def forget(self, key: str) -> None:
        """Say no more about what has ended."""
        with self._lock:
            if key in self._known and not self._is_under_way(key):
                del self._known[key], self._stops[key]

    def stop(self) -> None:
        """Cancel everything and wait for it; what has arrived is kept."""
        for key in list(self._known):
            self.cancel(key)
        for lane in self._lanes.values():
            lane.shutdown()

    def _start(self, lane: str, key: str, first: P, work: Callable[[Emit], Mapping[str, Any]]) -> None:
        """Have it run, or wait for what is before it in its lane; what is under way goes on.

        Args:
            lane: one of the names.
            key: what it is called.
            first: what ``of`` tells of it at first.
            work: does it, and returns the fields of ``first`` that tell what came of it.
        """
        with self._lock:
            if self._is_under_way(key):
                return
            self._stops[key], self._known[key] = threading.Event(), first
            self._lanes[lane].submit(self._run, key, work, self._stops[key])

    def _is_under_way(self, key: str) -> bool:
        return key in self._known and not self._known[key].state.is_final

    def _run(self, key: str, work: Callable[[Emit], Mapping[str, Any]], stop: threading.Event) -> None:
        with self._lock:
            if stop.is_set():  # while it waited
                return
            self._change(key, state=JobStatus.RUNNING)

        def emit(event: ProgressEvent) -> None:
            if stop.is_set():
                raise Cancelled
            self._change(key, step=event.step, total=event.total, message=event.message)

        try:
            came_of_it = work(emit)
        except Cancelled:
            self._change(key, state=JobStatus.CANCELLED)
        except (WanStudioError, OSError) as error:
            self._change(key, state=JobStatus.FAILED, error=str(error))
        except Exception as error:  # the edge: nobody else would learn of it
            log.exception("What was done for %s failed unexpectedly.", key)
            words = f"It stopped on an unexpected {type(error).__name__}; the log has the details."
            self._change(key, state=JobStatus.FAILED, error=words)
        else:
            self._change(key, state=JobStatus.DONE, **came_of_it)

    def _change(self, key: str, **what: Any) -> None:
        with self._lock:
            self._known[key] = replace(self._known[key], **what)
