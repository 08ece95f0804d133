"""How long the stages of a job take, and how much memory the parts of its model."""

from __future__ import annotations

import time

from wan_core.catalog import Role
from wan_core.manager.devices import PeakMemory
from wan_core.schema import Emit, PartUse, ProgressEvent, Stage

_PART_OF = {Stage.ENCODE: Role.TEXT_ENCODER, Stage.DENOISE: Role.TRANSFORMER, Stage.DECODE: Role.VAE}


class StageClock:
    """An ``Emit`` that fills in each event's seconds and passes it on.

    What comes after an event belongs to its stage and part of the model, until the next event. ``stage`` is
    that of the last one.
    """

    def __init__(self, emit: Emit, peak: PeakMemory) -> None:
        self.seconds: dict[str, float] = {}
        self.parts: dict[str, PartUse] = {}
        self.stage: Stage | None = None
        self._emit = emit
        self._peak = peak
        self._part = ""
        self._since = time.perf_counter()

    def __call__(self, event: ProgressEvent) -> None:
        self.stop()
        self.stage = event.stage
        self._part = event.part or _PART_OF.get(event.stage, "")
        self._emit(event.model_copy(update={"seconds": self.seconds.get(event.stage, 0.0)}))
        self._since = time.perf_counter()  # a pause is no work

    def stop(self) -> None:
        """Book the time and the memory until now."""
        now, memory = time.perf_counter(), self._peak.sample()
        passed, self._since = now - self._since, now
        if self.stage is not None:
            self.seconds[self.stage] = self.seconds.get(self.stage, 0.0) + passed
        if self._part:
            use = self.parts.get(self._part, PartUse(load_seconds=0.0, peak_bytes=0))
            self.parts[self._part] = PartUse(
                load_seconds=use.load_seconds + (passed if self.stage is Stage.LOAD else 0.0),
                peak_bytes=max(use.peak_bytes, memory),
            )
