"""The passes of a run as CUDA graphs: every pass is computed, and the host starts it in one go."""

from __future__ import annotations

import logging
import weakref
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from torch import Tensor, nn

from wan_core.acceleration.step_cache import Pass, StepCache
from wan_core.ops.compiling import has_guests
from wan_core.ops.failures import first_line
from wan_core.ops.graphs import Recording

_log = logging.getLogger(__name__)

_MOST = 4
"""Kinds of passes in a step: with each prompt, without references, with layers left out."""


@dataclass
class _Kind:
    """A pass that differs from another of its kind in its latents and timestep alone.

    ``signature`` is what it reads besides. Tensors are told apart by identity; until it is recorded a kind
    keeps none alive, so that the windows of a clip come and go.
    """

    signature: tuple[object, ...]
    recording: Recording | None = None
    held: tuple[object, ...] = ()

    def is_of(self, leaves: tuple[object, ...]) -> bool:
        return len(leaves) == len(self.signature) and all(map(_same, self.signature, leaves))


class GraphedPasses(StepCache):
    """Records a pass when one of its kind has run before, and replays it from then on.

    Exact: a replay starts the same work. A transformer that something has hung itself into, such as a LoRA or
    the streaming of weights, runs as it is, and so does every pass if one cannot be recorded.
    """

    def __init__(self) -> None:
        self._kinds: deque[_Kind] = deque(maxlen=_MOST)
        self._obstacle = ""
        self._replays = 0

    def renew(self) -> None:
        self._kinds.clear()

    def velocity(self, transformer: nn.Module, call: Pass) -> Tensor:
        if not self._obstacle and has_guests(transformer):
            self._obstacle = "LoRAs are worn, or blocks come and go"
        if self._obstacle:
            return transformer(*call.inputs())
        leaves = (call.latents.shape, *_leaves((call.prompt_embeds, call.conditioning)))
        kind = next((kind for kind in self._kinds if kind.is_of(leaves)), None)
        if kind is None:
            self._kinds.append(_Kind(tuple(map(_weak, leaves))))
            return transformer(*call.inputs())
        if kind.recording is None and not self._record(kind, transformer, call, leaves):
            return transformer(*call.inputs())
        self._replays += 1
        return kind.recording.replay((call.latents, call.timestep))

    def _record(self, kind: _Kind, transformer: nn.Module, call: Pass, leaves: tuple[object, ...]) -> bool:
        _, _, prompt_embeds, conditioning = call.inputs()
        before = next((other.recording for other in self._kinds if other.recording), None)
        try:
            kind.recording = Recording(
                lambda latents, timestep: transformer(latents, timestep, prompt_embeds, conditioning),
                (call.latents, call.timestep),
                before,
            )
        except RuntimeError as problem:
            _log.warning("A pass could not be recorded", exc_info=True)
            self._obstacle = f"recording failed: {first_line(problem)}"
            self.renew()
            return False
        kind.held = leaves
        return True

    @property
    def report(self) -> tuple[str, ...]:
        if self._replays:
            return ()
        return (f"No CUDA graph was used: {self._obstacle or 'no pass came twice'}.",)


def _leaves(value: Any) -> Iterator[object]:
    """Tensors and plain values in a fixed order."""
    if isinstance(value, tuple):
        for item in value:
            yield from _leaves(item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _leaves(getattr(value, field.name))
    else:
        yield value


def _weak(leaf: object) -> object:
    return weakref.ref(leaf) if isinstance(leaf, Tensor) else leaf


def _same(known: object, leaf: object) -> bool:
    if isinstance(known, weakref.ref):
        return leaf is not None and known() is leaf  # one that died is like nothing that comes
    return known == leaf
