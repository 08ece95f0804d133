"""Reusing what the transformer computed in an earlier step where a step changes little.

A cache belongs to one run. It stands between the sampling loop and the transformer, which knows nothing of
it. A *window* is a piece of the clip that is denoised by itself, a *branch* one of the guidance passes over
it. The first pass over a window decides for all passes of the step: the passes of a pair are subtracted and
their difference is scaled up, so one of today and one of yesterday would not fit together. What is reused is
kept for each branch of each window.
"""

# B batch, C channels, F latent frames, H W latent grid, L tokens, D width

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from wan_core.models.dit.blocks import DiTContext
from wan_core.models.dit.conditioning import UNCONDITIONED, DiTConditioning

Branch = Literal["prompt", "null", "bare", "weak"]
"""With the prompt, with the negative one, with neither prompt nor references, with layers left out."""


@dataclass(frozen=True)
class Pass:
    """One call of the transformer; the fields of ``WanDiT.forward``, and which of a step's calls it is.

    A call may be of several branches, whose prompts are the rows of one batch; the first one leads.
    """

    latents: Tensor
    timestep: Tensor
    prompt_embeds: Tensor
    conditioning: DiTConditioning = UNCONDITIONED
    branches: tuple[Branch, ...] = ("prompt",)
    window: int = 0

    def inputs(self) -> tuple[Tensor, Tensor, Tensor, DiTConditioning]:
        """What the transformer is called with."""
        return self.latents, self.timestep, self.prompt_embeds, self.conditioning

    def leading(self, rows: Tensor) -> Tensor:
        """Of what was made in this call, what belongs to its first branch."""
        return rows.chunk(len(self.branches))[0]


class StepCache:
    """No cache: every pass is computed. What reuses something is derived from it."""

    def begin_step(self, step: int) -> None:
        """The passes that follow are those of ``step``, counted from 0."""

    def renew(self) -> None:
        """Compute the next step: what the model reads or wears is not what it was."""

    def velocity(self, transformer: nn.Module, call: Pass) -> Tensor:
        """(B, C, F, H, W): what the transformer says, or would about say."""
        return transformer(*call.inputs())

    @property
    def report(self) -> tuple[str, ...]:
        """Sentences on what was computed; none where that goes without saying."""
        return ()


@dataclass
class Kept:
    """What a branch reuses, and the step that it is of."""

    step: int
    value: Tensor


@dataclass
class Window:
    """What is known of a window.

    Attributes:
        step: the last step that it was part of.
        computed: the last step in which the deciding pass was computed.
        computes: what was decided in ``step``.
        leader: the branch that decides.
        kept: what each branch reuses.
        measured: what the method's measure has kept.
    """

    step: int = -1
    computed: int = -1
    computes: bool = True
    leader: Branch = "prompt"
    kept: dict[Branch, Kept] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)


class ReusingCache(StepCache):
    """A cache that skips steps; a method says how it measures, computes and reuses.

    Args:
        threshold: how far a step may drift and still be skipped; at 0 every step is computed.
        sigmas: the noise levels of the run, N+1 values.
        first: how many steps at the beginning are always computed, at least 1.
        last: how many at the end.
    """

    def __init__(self, threshold: float, sigmas: Sequence[float], first: int, last: int) -> None:
        self.threshold, self.sigmas = threshold, sigmas
        self.total = len(sigmas) - 1
        self._forced = {*range(first), *range(self.total - last, self.total), 0}
        self._step = 0
        self._computed: set[int] = set()
        self._windows: dict[int, Window] = {}

    def begin_step(self, step: int) -> None:
        self._step = step

    def renew(self) -> None:
        self._windows.clear()

    def velocity(self, transformer: nn.Module, call: Pass) -> Tensor:
        window = self._windows.setdefault(call.window, Window())
        leads = window.step != self._step
        ready = self._prepare(transformer, call)
        if leads:
            self._decide(window, ready, call)
        kept = [window.kept.get(branch) for branch in call.branches]
        if window.computes or any(one is None or one.step < window.computed for one in kept):
            velocity, value = self._compute(transformer, ready, call)
            for branch, rows in zip(call.branches, value.chunk(len(kept)), strict=True):
                window.kept[branch] = Kept(self._step, rows)
            self._computed.add(self._step)
        else:
            values = [one.value for one in kept]
            velocity = self._reuse(transformer, ready, call, torch.cat(values) if values[1:] else values[0])
        if leads:
            self._learn(window, call, velocity)
        return velocity

    @property
    def skipped(self) -> tuple[int, ...]:
        """The steps of a finished run in which no pass was computed, counted from 1."""
        return tuple(step + 1 for step in range(self.total) if step not in self._computed)

    @property
    def report(self) -> tuple[str, ...]:
        told = (f"{self.total - len(self.skipped)} of {self.total} steps were computed.",)
        if self.skipped:
            told += (f"Skipped steps: {', '.join(map(str, self.skipped))}.",)
        return told

    def _decide(self, window: Window, ready: Any, call: Pass) -> None:
        """Whether this step is computed; a pass that was left out in the last step begins anew."""
        goes_on = window.step == self._step - 1 and window.leader == call.branches[0]
        if not goes_on:
            window.kept.clear()
            window.measured.clear()
        forced = not goes_on or self._step in self._forced or self.threshold == 0
        drifted = self._drifts(window, ready, call, forced)
        window.computes = forced or drifted
        window.step, window.leader = self._step, call.branches[0]
        if window.computes:
            window.computed = self._step

    @abstractmethod
    def _drifts(self, window: Window, ready: Any, call: Pass, forced: bool) -> bool:
        """Measure a step; whether it is too far from what is kept. A forced one is computed anyhow."""

    def _learn(self, window: Window, call: Pass, velocity: Tensor) -> None:
        """What the deciding pass has said, computed or reused."""

    def _prepare(self, transformer: nn.Module, call: Pass) -> Any:
        """What both computing and reusing begin with."""

    @abstractmethod
    def _compute(self, transformer: nn.Module, ready: Any, call: Pass) -> tuple[Tensor, Tensor]:
        """The velocity, and what is kept of it."""

    @abstractmethod
    def _reuse(self, transformer: nn.Module, ready: Any, call: Pass, kept: Tensor) -> Tensor:
        """The velocity with what was kept."""


Embedded = tuple[Tensor, DiTContext]


class BlocksCache(ReusingCache):
    """Keeps what all blocks together add to the tokens. A skipped step makes no VACE hints either."""

    def _prepare(self, transformer: nn.Module, call: Pass) -> Embedded:
        return transformer.embed(*call.inputs())

    def _compute(self, transformer: nn.Module, ready: Embedded, call: Pass) -> tuple[Tensor, Tensor]:
        tokens, context = ready
        moved = transformer.run_blocks(tokens, context)
        return transformer.unembed(moved, context), (moved - tokens).to(context.text.dtype)

    def _reuse(self, transformer: nn.Module, ready: Embedded, call: Pass, kept: Tensor) -> Tensor:
        tokens, context = ready
        return transformer.unembed(tokens + kept, context)


def mean_change(now: Tensor, before: Tensor) -> float:
    """mean |now - before| / mean |before|."""
    return ((now - before).abs().mean() / before.abs().mean()).item()
