"""Downloads of LoRAs that outlive the browser tab that began them. No torch."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from wan_core.manager.errand_state import ErrandState
from wan_core.manager.lora_address import HubFile, WebFile, key_of, read_address
from wan_core.manager.lora_download import Arrived, fetch_lora
from wan_core.manager.weights import WeightStore
from wan_core.schema import Cancelled, InvalidRequest, ProgressEvent, WanStudioError

log = logging.getLogger(__name__)

MOST_WAITING = 20


@dataclass(frozen=True)
class Arrival:
    """A LoRA on its way. ``shown`` is its address without any key; ``step`` of ``total`` are bytes."""

    key: str
    shown: str
    state: ErrandState = ErrandState.WAITING
    step: int = 0
    total: int = 0
    message: str = ""
    error: str = ""
    arrived: Arrived | None = None


class LoraErrands:
    """Fetches LoRAs one after the other; safe to use from any thread.

    Args:
        store: knows the folders, the hub, and whether the network may be used.
    """

    def __init__(self, store: WeightStore) -> None:
        self._store = store
        self._lane = ThreadPoolExecutor(1, "lora")
        self._lock = threading.Lock()
        self._arrivals: dict[str, Arrival] = {}
        self._stops: dict[str, threading.Event] = {}
        self._sources: dict[str, HubFile | WebFile] = {}

    def begin(self, address: str) -> str:
        """Start a download, or go on with one that has failed; returns its key.

        Raises:
            InvalidRequest: this is no address of a LoRA, the studio is offline, or too many wait.
        """
        return self._begin(read_address(address, self._store.endpoint))

    def again(self, key: str) -> str:
        """Go on with a download that has ended without a LoRA; raises as ``begin``."""
        source = self._sources.get(key)
        return self._begin(source) if source else ""

    def _begin(self, source: HubFile | WebFile) -> str:
        if self._store.is_offline:
            raise InvalidRequest(
                "loras", "the studio is offline", "Go online, or copy the file to the LoRA folder yourself."
            )
        key = key_of(source)
        with self._lock:
            known = self._arrivals.get(key)
            if known is not None and not known.state.is_final:
                return key
            if sum(not other.state.is_final for other in self._arrivals.values()) >= MOST_WAITING:
                raise InvalidRequest(
                    "loras", f"{MOST_WAITING} downloads wait already", "Wait for one of them."
                )
            self._arrivals.pop(key, None)
            self._stops[key], self._sources[key] = threading.Event(), source
            self._arrivals[key] = Arrival(key, source.shown)
            self._lane.submit(self._run, key, source, self._stops[key])
        return key

    def cancel(self, key: str) -> None:
        """Stop a download; what has arrived is kept for the next try."""
        with self._lock:
            arrival = self._arrivals.get(key)
            if arrival is None or arrival.state.is_final:
                return
            self._stops[key].set()
            if arrival.state is ErrandState.WAITING:
                self._arrivals[key] = replace(arrival, state=ErrandState.CANCELLED)

    def forget(self, key: str) -> None:
        """Say no more about a download that has ended."""
        with self._lock:
            if (arrival := self._arrivals.get(key)) and arrival.state.is_final:
                del self._arrivals[key], self._sources[key]

    def all(self) -> list[Arrival]:
        """The latest of each address, in the order in which they were begun."""
        with self._lock:
            return list(self._arrivals.values())

    def stop(self) -> None:
        """Cancel everything and wait for it."""
        for arrival in self.all():
            self.cancel(arrival.key)
        self._lane.shutdown()

    def _run(self, key: str, source: HubFile | WebFile, stop: threading.Event) -> None:
        with self._lock:
            if stop.is_set():  # while it waited
                return
            self._change(key, state=ErrandState.RUNNING)

        def emit(event: ProgressEvent) -> None:
            if stop.is_set():
                raise Cancelled
            with self._lock:
                self._change(key, step=event.step, total=event.total, message=event.message)

        try:
            arrived = fetch_lora(source, self._store.settings, emit, self._store.endpoint)
        except Cancelled:
            self._end(key, state=ErrandState.CANCELLED)
        except (WanStudioError, OSError) as error:
            self._end(key, state=ErrandState.FAILED, error=str(error))
        except Exception as error:  # the edge: nobody else would learn of it
            log.exception("The download of a LoRA failed unexpectedly.")
            words = f"It stopped on an unexpected {type(error).__name__}; the log has the details."
            self._end(key, state=ErrandState.FAILED, error=words)
        else:
            self._end(key, state=ErrandState.DONE, arrived=arrived)

    def _end(self, key: str, **what: object) -> None:
        with self._lock:
            self._change(key, **what)

    def _change(self, key: str, **what: object) -> None:
        self._arrivals[key] = replace(self._arrivals[key], **what)
