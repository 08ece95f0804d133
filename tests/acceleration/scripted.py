"""A transformer that says what a test has written down, and counts what it does."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from wan_core.acceleration.step_cache import Branch, Pass, ReusingCache


class Scripted(nn.Module):
    """Embeds to zeros and adds ``added[step]`` in its blocks, ``first[step]`` of it in the first.

    ``signal[step]`` is its time embedding and modulation; the step is the pass's timestep.
    """

    def __init__(
        self,
        signal: Sequence[float] = (),
        added: Sequence[float] = (),
        first: Sequence[float] = (),
        says: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.signal, self.added, self.first, self.says = signal, added, first, says
        self.computed: list[int] = []

    def forward(self, latents: Tensor, timestep: Tensor, prompt: Tensor, seen: object) -> Tensor:
        self.computed.append(int(timestep))
        return torch.full_like(latents, self.says[int(timestep)])

    def embed(self, latents: Tensor, timestep: Tensor, prompt: Tensor, seen: object) -> tuple[Tensor, object]:
        step = int(timestep)
        signal = torch.full((1, 4), self.signal[step] if self.signal else 1.0, dtype=torch.float64)
        return torch.zeros(1, 2, 4), SimpleNamespace(step=step, time=signal, modulation=signal, text=prompt)

    def hints(self, tokens: Tensor, context: object) -> None:
        return None

    def run_blocks(
        self, tokens: Tensor, context: SimpleNamespace, part: slice = slice(None), hints: None = None
    ) -> Tensor:
        step = context.step
        if part.stop == 1:
            return tokens + self.first[step]
        self.computed.append(step)
        return tokens + self.added[step] - (self.first[step] if part.start == 1 else 0)

    def unembed(self, tokens: Tensor, context: object) -> Tensor:
        return tokens[:, :1, :1, None, None]


def call(step: int, branch: Branch = "prompt", window: int = 0, latents: float = 0.0) -> Pass:
    return Pass(
        torch.full((1, 1, 1, 1, 1), latents, dtype=torch.float64),
        torch.tensor([step]),
        torch.zeros(1, 1, 4),
        branches=(branch,),
        window=window,
    )


def run(cache: ReusingCache, model: Scripted, xs: Sequence[float] = ()) -> list[float]:
    """What is said in each step of a run with one pass a step, of latents ``xs``."""
    said = []
    for step in range(cache.total):
        cache.begin_step(step)
        one = call(step, latents=xs[step] if xs else 0.0)
        said.append(cache.velocity(model, one).mean().item())
    return said


def levels(steps: int) -> list[float]:
    """Falling noise levels of a run with so many steps."""
    return [1 - step / steps for step in range(steps + 1)]
