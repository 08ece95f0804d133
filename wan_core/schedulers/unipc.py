"""UniPC, second order, bh2, predicting x0: the official sampler (spec 6)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from wan_core.schedulers.base import Scheduler, log_snr
from wan_core.schedulers.dpmpp import multistep, step_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

# 0.999 as a float32, as the official code holds it: 1000 * sigma then lies just above the
# integers that it should reach, and truncation keeps them.
FIRST_SIGMA = 0.9990000128746033


def correct(origin: Tensor, x0s: Sequence[Tensor], sigmas: Sequence[float]) -> Tensor:
    """Redo the step that led to the current latents, now that the model has seen where it led.

    Args:
        origin: the latents that the step began from, at ``sigmas[-2]``.
        x0s: predictions, the newest last and made at ``sigmas[-1]``, the level reached; one more
            than the order of the step (1 or 2).
        sigmas: the level of each prediction.

    Returns:
        Better latents at ``sigmas[-1]``.
    """
    *_, start, reached = sigmas
    span = log_snr(reached) - log_snr(start)
    decay = math.expm1(-span)
    weight = -(1 - reached) * decay
    before, now = x0s[-2:]
    moved = origin * (reached / start) + before * weight
    if len(x0s) == 2:
        return moved + (now - before) * (0.5 * weight)
    ratio = (log_snr(sigmas[0]) - log_snr(start)) / span
    older, newest = _second_order_weights(span, decay, ratio)
    return moved + (x0s[0] - before) * (weight * older / ratio) + (now - before) * (weight * newest)


def _second_order_weights(span: float, decay: float, ratio: float) -> tuple[float, float]:
    """Solve [[1, 1], [ratio, 1]] w = b for the bh2 moments b."""
    first = -decay / span - 1
    second = -first / span - 0.5
    moments = first / decay, 2 * second / decay
    older = (moments[0] - moments[1]) / (1 - ratio)
    return older, moments[0] - older


class UniPC(Scheduler):
    """The official sampler: a predictor as DPM++ has it, and a corrector from the second step on."""

    first_sigma = FIRST_SIGMA

    def _advance(self, index: int, velocity: Tensor, latents: Tensor) -> Tensor:
        num_steps = len(self.timesteps)
        names = ("older", "x0")[-index:] if index else ()
        x0s = (*(self._kept[name] for name in names), latents - self.sigmas[index] * velocity)
        if index:
            used = step_order(index - 1, num_steps) + 1
            latents = correct(self._kept["origin"], x0s[-used:], self.sigmas[index + 1 - used : index + 1])
        self._kept = {**dict(zip(("x0", "older"), x0s[:-3:-1], strict=False)), "origin": latents}
        order = step_order(index, num_steps)
        return multistep(latents, x0s[-order:], self.sigmas[index + 1 - order : index + 2])
