"""What every sampler shares: the flow x = (1 - sigma) x0 + sigma noise, and its schedule (spec 6)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Tensor

NUM_TRAIN_TIMESTEPS = 1000

CHANCE = "generator"
"""The name of the generator's state among what is kept of a run; it has a shape of its own."""


def shifted_sigmas(start: float, num_inference_steps: int, shift: float) -> list[float]:
    """Noise levels of a run: even steps from ``start`` to 0, moved by ``shift``; N+1 values, last 0."""
    even = np.linspace(start, 0, num_inference_steps + 1)[:-1]
    return [*(shift * even / (1 + (shift - 1) * even)).tolist(), 0.0]


def log_snr(sigma: float) -> float:
    """lambda = ln(1 - sigma) - ln(sigma); minus infinity at 1, infinity at 0."""
    if sigma <= 0:
        return math.inf
    if sigma >= 1:
        return -math.inf
    return math.log1p(-sigma) - math.log(sigma)


class Scheduler(ABC):
    """One run of a sampler; it counts its own steps, so that equal timesteps do no harm.

    Args:
        num_inference_steps: model calls, at least 1.
        shift: where the steps are spent; higher means more of them at high noise.
        generator: draws noise, on its own device, where a sampler adds some; None is the global one of
            the latents' device.
        strength: of video to video, in (0, 1]: the run starts so far up and takes all its steps.
        levels: noise levels to take instead, falling, each in (0, 1]; a 0 follows the last.

    Attributes:
        first_sigma: where the run starts, before the shift.
        sigmas: N+1 noise levels.
        timesteps: N integers, 1000 * sigma truncated; what the model is told.
        step_index: steps taken so far.
    """

    first_sigma = 1.0

    def __init__(
        self,
        num_inference_steps: int,
        shift: float,
        generator: torch.Generator | None = None,
        strength: float = 1.0,
        levels: Sequence[float] = (),
    ) -> None:
        given = [*levels, 0.0] if levels else None
        self.sigmas = given or shifted_sigmas(strength * self.first_sigma, num_inference_steps, shift)
        self.timesteps = [int(NUM_TRAIN_TIMESTEPS * sigma) for sigma in self.sigmas[:-1]]
        self.step_index = 0
        self._generator = generator
        self._kept: dict[str, Tensor] = {}  # what later steps need of those taken

    def skip(self, steps: int) -> None:
        """Leave out the first steps of a run that has not begun: it starts at the level they end at."""
        self.sigmas, self.timesteps = self.sigmas[steps:], self.timesteps[steps:]

    def end(self, steps: int) -> None:
        """Let a run that has not begun take its first steps only; the last of them goes straight to 0."""
        self.sigmas, self.timesteps = [*self.sigmas[:steps], 0.0], self.timesteps[:steps]

    def step(self, velocity: Tensor, latents: Tensor) -> Tensor:
        """The latents at the next noise level.

        Args:
            velocity: what the model said about ``latents``, any dtype.
            latents: the current latents, float32, of the same shape.

        Returns:
            Float32, of the same shape.

        Raises:
            IndexError: the run has no step left.
        """
        if self.step_index >= len(self.timesteps):
            raise IndexError(f"all {len(self.timesteps)} steps of this run are done; make a new scheduler")
        moved = self._advance(self.step_index, velocity.float(), latents.float())
        self.step_index += 1
        return moved

    def state(self) -> dict[str, Tensor]:
        """What the steps to come need of those taken: tensors of the latents' shape, and ``CHANCE``."""
        return self._kept | ({CHANCE: self._generator.get_state()} if self._generator else {})

    def restore(self, steps: int, state: dict[str, Tensor], latents: Tensor) -> None:
        """Go on after ``steps`` steps of a run like this one, which has not begun.

        Args:
            steps: taken by that run.
            state: its ``state()`` then.
            latents: float32; the shape and device of those to come.

        Raises:
            ValueError, TypeError, RuntimeError: the state is not one of such a run; nothing has changed.
        """
        before = self.state()
        for _ in range(steps):  # tells by name what is kept by then
            self.step(latents.new_zeros(1), latents.new_zeros(1))
        try:
            if state.keys() != self.state().keys():
                raise ValueError("other things are kept by then")
            self._set(state, latents)
        except (ValueError, TypeError, RuntimeError):
            self._set(before, latents)
            self.step_index = 0
            raise

    def _set(self, state: dict[str, Tensor], latents: Tensor) -> None:
        self._kept = {name: value for name, value in state.items() if name != CHANCE}
        if any(value.shape != latents.shape or value.dtype != latents.dtype for value in self._kept.values()):
            raise ValueError("what is kept is not of the latents' shape")
        self._kept = {name: value.to(latents.device) for name, value in self._kept.items()}
        if self._generator:
            self._generator.set_state(state[CHANCE])

    def _fresh_noise(self, latents: Tensor) -> Tensor:
        """Noise of the shape of ``latents``, on their device."""
        device = latents.device if self._generator is None else self._generator.device
        noise = latents.new_empty(latents.shape, device=device).normal_(generator=self._generator)
        return noise.to(latents.device)

    @abstractmethod
    def _advance(self, index: int, velocity: Tensor, latents: Tensor) -> Tensor:
        """From ``sigmas[index]`` to ``sigmas[index + 1]``."""
