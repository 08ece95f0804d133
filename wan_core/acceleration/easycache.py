"""EasyCache: input and output change in a proportion that stays about the same (engines 3)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from wan_core.acceleration.step_cache import Pass, ReusingCache, Window

_BEGINNING = 0.2  # of the steps, 10 of 50


class EasyCache(ReusingCache):
    """Keeps the difference of velocity and latents, and foresees the change of the velocity.

    With k = mean |change of v| / mean |change of x| between the last two computed steps, a step is foreseen
    to change v by k mean |x - x before| / mean |v before| of itself. These changes are summed, and a step is
    computed when the sum reaches the threshold; a skipped one is x + (v - x of the last computed step).
    It needs no knowledge of the model, runs none of it in a skipped step, and keeps no tokens.
    """

    def __init__(self, threshold: float, sigmas: Sequence[float]) -> None:
        # two computed steps before the first foreseen one: of one, no change is known
        super().__init__(threshold, sigmas, max(round(_BEGINNING * (len(sigmas) - 1)), 2), 0)

    def _drifts(self, window: Window, ready: None, call: Pass, forced: bool) -> bool:
        measured = window.measured
        drifted = forced or "rate" not in measured
        if not drifted:
            change = (call.latents - measured["latents"]).abs().mean()
            measured["sum"] += (measured["rate"] * change / measured["velocity"].abs().mean()).item()
            drifted = not measured["sum"] < self.threshold  # also if it is no number
        if drifted:
            measured["sum"] = 0.0
        return drifted

    def _learn(self, window: Window, call: Pass, velocity: Tensor) -> None:
        measured, velocity = window.measured, call.leading(velocity)
        if window.computes:
            if "computed" in measured:
                latents, before = measured["computed"]
                change = (velocity - before).abs().mean()
                measured["rate"] = change / (call.latents - latents).abs().mean()
            measured["computed"] = call.latents, velocity
        measured["latents"], measured["velocity"] = call.latents, velocity

    def _compute(self, transformer: nn.Module, ready: None, call: Pass) -> tuple[Tensor, Tensor]:
        velocity = transformer(*call.inputs())
        return velocity, velocity - call.latents

    def _reuse(self, transformer: nn.Module, ready: None, call: Pass, kept: Tensor) -> Tensor:
        return call.latents + kept
