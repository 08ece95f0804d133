"""The passes of a step, one after the other or as one batch."""

# B batch, L rows of a prompt, D width of the text encoder, C channels, F latent frames, H W latent grid

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wan_core.acceleration.step_cache import Pass, StepCache
from wan_core.ops.out_of_memory import is_out_of_memory

_log = logging.getLogger(__name__)

UNCACHED = StepCache()


class PassRunner:
    """Calls the transformer for the passes of each step of one run.

    As one batch, passes have the numbers that they have one after the other. The weights are read once for
    all of them, and what comes before the first look at a prompt is computed once; but they take as much
    memory as there are passes. Where it runs out, the run goes on with one after the other.

    Args:
        transformer: what is called.
        cache: of the run, what stands before it.
        merges: whether passes that differ in nothing but their prompts run as one batch.
    """

    def __init__(self, transformer: nn.Module, cache: StepCache = UNCACHED, merges: bool = False) -> None:
        self._transformer, self._cache, self._merges = transformer, cache, merges
        self._joined: dict[tuple[int, ...], tuple[list[Tensor], Tensor]] = {}

    def velocities(self, passes: Sequence[Pass]) -> list[Tensor]:
        """Of each pass, (1, C, F, H, W), float32; the first one leads, see ``StepCache``."""
        if not self._merges:
            return [self._velocity(call) for call in passes]
        try:
            found = [self._velocity(self._join(list(group))) for _, group in groupby(passes, _besides_prompt)]
            return [velocity for batch in found for velocity in batch.split(1)]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        _log.info("No room for the passes of a step at once; they go one after the other")
        self._merges = False
        self._cache.renew()
        return self.velocities(passes)

    def _velocity(self, call: Pass) -> Tensor:
        return self._cache.velocity(self._transformer, call).float()

    def _join(self, calls: list[Pass]) -> Pass:
        if len(calls) == 1:
            return calls[0]
        first = calls[0]
        prompts = [call.prompt_embeds for call in calls]
        key = tuple(map(id, prompts))
        if key not in self._joined:  # the prompts are held, so that their ids stay their own
            self._joined[key] = prompts, _one_batch(prompts)
        _, joined = self._joined[key]
        branches = tuple(call.branches[0] for call in calls)
        return Pass(first.latents, first.timestep, joined, first.conditioning, branches, first.window)


def _besides_prompt(call: Pass) -> tuple[int, ...]:
    return id(call.latents), id(call.timestep), id(call.conditioning), call.window


def _one_batch(prompts: Sequence[Tensor]) -> Tensor:
    """(1, L each, D) -> (n, longest L, D): zero rows fill up, as the model itself fills up every prompt."""
    longest = max(prompt.shape[1] for prompt in prompts)
    return torch.cat([F.pad(prompt, (0, 0, 0, longest - prompt.shape[1])) for prompt in prompts])
