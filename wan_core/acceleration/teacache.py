"""TeaCache: the time embedding foretells how much a step changes (engines 3, diffsynth 2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wan_core.acceleration.step_cache import BlocksCache, Embedded, Pass, Window, mean_change

FAMILIES = ("t2v-1.3b", "t2v-14b", "i2v-14b-480p", "i2v-14b-720p")
"""The models that coefficients were published for."""

# of the embedding itself, highest power first
_TIME = {
    "t2v-1.3b": (2396.76752, -1311.10545, 201.331979, -8.29855975, 0.137887774),
    "t2v-14b": (-5784.54975374, 5449.50911966, -1811.16591783, 256.27178429, -13.02252404),
    "i2v-14b-480p": (-302.33167, 223.948934, -52.546397, 5.8734844, -0.201973289),
    "i2v-14b-720p": (-114.36346466, 65.26524496, -18.82220707, 4.91518089, -0.23412683),
}
# of its projection, the modulation of the blocks
_MODULATION = {
    "t2v-1.3b": (-5.21862437e4, 9.23041404e3, -5.28275948e2, 1.36987616e1, -4.99875664e-2),
    "t2v-14b": (-3.03318725e5, 4.90537029e4, -2.65530556e3, 5.87365115e1, -3.15583525e-1),
    "i2v-14b-480p": (2.57151496e5, -3.54229917e4, 1.40286849e3, -1.35890334e1, 1.32517977e-1),
    "i2v-14b-720p": (8.10705460e3, 2.13393892e3, -3.72934672e2, 1.66203073e1, -4.17769401e-2),
}
_AS_IT_IS = (1.0, 0.0)
"""For models without coefficients: the change of the embedding counts as the change of the step."""

_RETAINED = 5


class TeaCache(BlocksCache):
    """Sums P(change of the signal) from step to step and computes when the sum reaches the threshold.

    The sum is signed, and the signal is compared with that of the step just before, skipped or not, as the
    official code does both.

    Args:
        threshold, sigmas: see ``ReusingCache``.
        family: one of ``FAMILIES``, or empty for other models.
        retention: measure the modulation instead of the embedding. The first five steps are computed
            then, instead of the first and the last.
    """

    def __init__(self, threshold: float, sigmas: Sequence[float], family: str, retention: bool) -> None:
        first, last = (_RETAINED, 0) if retention else (1, 1)
        super().__init__(threshold, sigmas, first, last)
        self._signal = "modulation" if retention else "time"
        self._coefficients = (_MODULATION if retention else _TIME).get(family, _AS_IT_IS)

    def _drifts(self, window: Window, ready: Embedded, call: Pass, forced: bool) -> bool:
        signal, measured = getattr(ready[1], self._signal), window.measured
        if not forced:
            change = mean_change(signal, measured["signal"])
            measured["sum"] += float(np.polyval(self._coefficients, change))
        drifted = forced or not measured["sum"] < self.threshold
        measured["signal"] = signal
        if drifted:
            measured["sum"] = 0.0
        return drifted
