"""Downloads and checks that outlive the browser tab that began them. No torch.

They belong to the web process: closing or reloading a page changes nothing, and ending the studio keeps what
has arrived, so that the next download goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wan_core.catalog import ModelSpec, find_model
from wan_core.manager.lanes import Lanes, Progress
from wan_core.manager.lora_errands import LoraErrands
from wan_core.manager.verify import Verdict, verify
from wan_core.manager.weights import WeightStore
from wan_core.schema import Emit

Kind = Literal["download", "verify"]


@dataclass(frozen=True)
class Errand(Progress):
    """A download or check of a model."""

    kind: Kind
    model: str
    verdict: Verdict | None = None


class Errands(Lanes[Errand]):
    """Runs errands by their models, those of a kind one after the other.

    Args:
        store: where the models are.

    Attributes:
        loras: those of LoRAs by their addresses.
    """

    def __init__(self, store: WeightStore) -> None:
        self.store = store
        self.loras = LoraErrands(store)
        self._work: Mapping[Kind, Callable[[ModelSpec, Emit], Mapping[str, Any]]] = {
            "download": self._fetch,
            "verify": lambda spec, emit: {"verdict": verify(store, spec, emit)},
        }
        super().__init__(*self._work)

    def begin(self, kind: Kind, model: str) -> None:
        """Start an errand, or have it wait for the one before; one that is under way goes on."""
        spec, work = find_model(model), self._work[kind]
        self._start(kind, spec.id, Errand(kind, spec.id), lambda emit: work(spec, emit))

    def stop(self) -> None:
        """Cancel everything and wait for it; what has arrived is kept."""
        super().stop()
        self.loras.stop()

    def _fetch(self, spec: ModelSpec, emit: Emit) -> Mapping[str, Any]:
        self.store.fetch(spec, emit)
        return {}
