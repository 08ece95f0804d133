"""Downloads and checks that outlive the browser tab that began them. No torch.

They belong to the web process: closing or reloading a page changes nothing, and ending the studio keeps what
has arrived, so that the next download goes on from there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

from wan_core.catalog import ModelSpec, find_model
from wan_core.manager.errand_state import ErrandState
from wan_core.manager.lora_errands import LoraErrands
from wan_core.manager.verify import Verdict, verify
from wan_core.manager.weights import WeightStore
from wan_core.schema import Cancelled, Emit, ProgressEvent, WanStudioError

log = logging.getLogger(__name__)

Kind = Literal["download", "verify"]


@dataclass(frozen=True)
class Errand:
    """A download or check of a model. ``step`` of ``total`` are bytes; ``error`` is one sentence."""

    kind: Kind
    model: str
    state: ErrandState = ErrandState.WAITING
    step: int = 0
    total: int = 0
    message: str = ""
    error: str = ""
    verdict: Verdict | None = None


class Errands:
    """Runs errands, those of a kind one after the other; safe to use from any thread.

    Args:
        store: where the models are.

    Attributes:
        loras: those of LoRAs by their addresses.
    """

    def __init__(self, store: WeightStore) -> None:
        self.store = store
        self.loras = LoraErrands(store)
        self._work: Mapping[Kind, Callable[[ModelSpec, Emit], Verdict | None]] = {
            "download": lambda spec, emit: _fetch(store, spec, emit),
            "verify": lambda spec, emit: verify(store, spec, emit),
        }
        self._lanes = {kind: ThreadPoolExecutor(1, kind) for kind in self._work}
        self._lock = threading.Lock()
        self._errands: dict[str, Errand] = {}
        self._stops: dict[str, threading.Event] = {}

    def begin(self, kind: Kind, model: str) -> None:
        """Start an errand, or have it wait for the one before; one that is under way goes on."""
        spec = find_model(model)
        with self._lock:
            known = self._errands.get(model)
            if known is not None and not known.state.is_final:
                return
            self._stops[model] = threading.Event()
            self._errands[model] = Errand(kind, model)
            self._lanes[kind].submit(self._run, kind, spec, self._stops[model])

    def cancel(self, model: str) -> None:
        """Stop a model's errand, at once if it waits and within half a second if it runs."""
        with self._lock:
            errand = self._errands.get(model)
            if errand is None or errand.state.is_final:
                return
            self._stops[model].set()
            if errand.state is ErrandState.WAITING:
                self._errands[model] = replace(errand, state=ErrandState.CANCELLED)

    def all(self) -> list[Errand]:
        """The latest errand of each model, in the order in which they were begun first."""
        with self._lock:
            return list(self._errands.values())

    def of(self, model: str) -> Errand | None:
        """A model's latest errand."""
        return self._errands.get(model)

    def forget(self, model: str) -> None:
        """Say no more about an errand that has ended."""
        with self._lock:
            if (errand := self._errands.get(model)) and errand.state.is_final:
                del self._errands[model]

    @property
    def are_active(self) -> bool:
        """Whether anything runs or waits."""
        return any(not errand.state.is_final for errand in self.all())

    def stop(self) -> None:
        """Cancel everything and wait for it; what has arrived is kept."""
        for errand in self.all():
            self.cancel(errand.model)
        for lane in self._lanes.values():
            lane.shutdown()
        self.loras.stop()

    def _run(self, kind: Kind, spec: ModelSpec, stop: threading.Event) -> None:
        with self._lock:
            if stop.is_set():  # while it waited
                return
            self._errands[spec.id] = replace(self._errands[spec.id], state=ErrandState.RUNNING)

        def emit(event: ProgressEvent) -> None:
            if stop.is_set():
                raise Cancelled
            self._note(spec.id, event)

        try:
            verdict = self._work[kind](spec, emit)
        except Cancelled:
            self._end(spec.id, ErrandState.CANCELLED)
        except (WanStudioError, OSError) as error:
            self._end(spec.id, ErrandState.FAILED, error=str(error))
        except Exception as error:  # the edge: nobody else would learn of it
            log.exception("The %s of %s failed unexpectedly.", kind, spec.id)
            words = f"It stopped on an unexpected {type(error).__name__}; the log has the details."
            self._end(spec.id, ErrandState.FAILED, error=words)
        else:
            self._end(spec.id, ErrandState.DONE, verdict=verdict)

    def _note(self, model: str, event: ProgressEvent) -> None:
        with self._lock:
            self._errands[model] = replace(
                self._errands[model], step=event.step, total=event.total, message=event.message
            )

    def _end(self, model: str, state: ErrandState, **what: object) -> None:
        with self._lock:
            self._errands[model] = replace(self._errands[model], state=state, **what)


def _fetch(store: WeightStore, spec: ModelSpec, emit: Emit) -> None:
    store.fetch(spec, emit)
