"""Downloads of LoRAs that outlive the browser tab that began them. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wan_core.manager.lanes import Lanes, Progress
from wan_core.manager.lora_address import HubFile, WebFile, key_of, read_address
from wan_core.manager.lora_download import Arrived, fetch_lora
from wan_core.manager.weights import WeightStore
from wan_core.schema import Emit, InvalidRequest

MOST_WAITING = 20
_LANE = "lora"


@dataclass(frozen=True)
class Arrival(Progress):
    """A LoRA on its way. ``shown`` is its address without any key."""

    key: str
    shown: str
    arrived: Arrived | None = None


class LoraErrands(Lanes[Arrival]):
    """Fetches LoRAs one after the other.

    Args:
        store: knows the folders, the hub, and whether the network may be used.
    """

    def __init__(self, store: WeightStore) -> None:
        super().__init__(_LANE)
        self._store = store
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

    def forget(self, key: str) -> None:
        with self._lock:
            super().forget(key)
            if key not in self._known:
                self._sources.pop(key, None)

    def _begin(self, source: HubFile | WebFile) -> str:
        if self._store.is_offline:
            raise InvalidRequest(
                "loras", "the studio is offline", "Go online, or copy the file to the LoRA folder yourself."
            )
        key = key_of(source)
        with self._lock:
            waiting = sum(not other.state.is_final for other in self._known.values())
            if waiting >= MOST_WAITING and not self._is_under_way(key):
                raise InvalidRequest(
                    "loras", f"{MOST_WAITING} downloads wait already", "Wait for one of them."
                )
            self._sources[key] = source
            self._start(_LANE, key, Arrival(key, source.shown), lambda emit: self._fetch(source, emit))
        return key

    def _fetch(self, source: HubFile | WebFile, emit: Emit) -> Mapping[str, Any]:
        return {"arrived": fetch_lora(source, self._store.settings, emit, self._store.endpoint)}
