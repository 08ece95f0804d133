"""What every part of the page is given."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from ui.strings import ENGLISH, Texts
from wan_core.catalog import ModelSpec
from wan_core.jobs.executors import Executor
from wan_core.jobs.store import JobStore
from wan_core.manager.errands import Errands
from wan_core.manager.kept_settings import KeptSettings
from wan_core.manager.weights import WeightStore
from wan_core.prompts.enhancer import Enhancer
from wan_core.schema import GenerationRequest, Settings, WeightsError

Reach = Literal["machine", "login", "everybody"]


@dataclass(frozen=True)
class Context:
    """The services behind the page, none of which imports torch, and the language it speaks.

    ``model`` is chosen when the page opens; None is the one that the browser used last, at first the demo.
    ``owned``: whoever sees the page may change the settings and the models on this machine, and learn
    where they are. ``reach``: who can reach the page; where that is everybody each has jobs of their own, see
    ``wan_core.jobs.visitors``.
    """

    executor: Executor
    errands: Errands
    kept: KeptSettings
    model: str | None = None
    owned: bool = True
    reach: Reach = "machine"
    texts: Texts = ENGLISH
    _changing: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def is_public(self) -> bool:
        return self.reach == "everybody"

    @cached_property
    def enhancer(self) -> Enhancer:
        """Who writes prompts out; nobody at first."""
        return Enhancer(self.settings.home)

    @property
    def weights(self) -> WeightStore:
        return self.errands.store

    @property
    def settings(self) -> Settings:
        return self.kept.current

    def change(self, values: dict[str, Any]) -> None:
        """Change settings, on the disk and for everything that reads them.

        Raises:
            InvalidRequest: naming the first setting that is refused; nothing is changed.
            OSError: they cannot be kept; nothing is changed.
        """
        with self._changing:  # or the later of two changes could reach the worker before the earlier
            settings = self.kept.change(values)
            self.weights.use(settings)
            self.executor.change(settings)

    @property
    def first_model(self) -> str:
        return self.model or GenerationRequest().model

    def has(self, spec: ModelSpec) -> bool:
        """Whether a model is there as a whole, so that nothing has to be downloaded."""
        try:
            return not self.weights.missing(spec)
        except WeightsError:  # a damaged index of shards
            return False

    def own_models(self) -> tuple[ModelSpec, ...]:
        """Rows for the transformers that a person has on this machine."""
        try:
            return self.weights.local_models()
        except WeightsError:  # a damaged index of shards
            return ()

    @property
    def store(self) -> JobStore:
        return self.executor.store
