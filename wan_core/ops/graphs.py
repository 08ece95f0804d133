"""CUDA graphs: what a function starts on a card is recorded once, and started again in one go."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

from wan_core.ops.failures import FOREIGN_FAILURES, first_line
from wan_core.schema.compiling import graphs_impossible

_log = logging.getLogger(__name__)


class Recording:
    """A function of tensors as a CUDA graph.

    The function must have run before with tensors of these shapes, so that what is made once is made. It may
    neither wait for the card nor read tensors that are freed or moved before the recording is; what it reads
    besides its inputs is read anew in each replay, from where it lay.

    Args:
        function: to be recorded; it is not run by that.
        inputs: what it is called with, on the card.
        before: a recording whose working memory this one may write over; replays give copies, so it may be
            any whose replays are never under way at the same time.

    Raises:
        RuntimeError: it cannot be recorded, or memory is out.
    """

    def __init__(
        self, function: Callable[..., Tensor], inputs: Sequence[Tensor], before: Recording | None = None
    ) -> None:
        self._inputs = [tensor.clone() for tensor in inputs]
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=before and before._graph.pool()):
            self._output = function(*self._inputs)

    def replay(self, inputs: Sequence[Tensor]) -> Tensor:
        """What the function makes of these; the caller's own."""
        for place, tensor in zip(self._inputs, inputs, strict=True):
            place.copy_(tensor)
        self._graph.replay()
        return self._output.clone()


@cache
def graphs_unsupported(device: torch.device) -> str | None:
    """One sentence on why nothing can be recorded here; None where a trial came out right. Once a process."""
    if impossible := graphs_impossible(device.type):
        return impossible
    numbers = torch.linspace(-1.0, 1.0, 48)
    try:
        with torch.inference_mode():
            recording = Recording(_trial, [numbers.to(device)])
            first, second = recording.replay([numbers.to(device)]), recording.replay([-numbers.to(device)])
            found = torch.stack([first, second]).cpu()
    except FOREIGN_FAILURES as problem:
        _log.info("CUDA graphs failed their trial", exc_info=True)
        return f"CUDA graphs failed their trial here: {first_line(problem)}."
    if not torch.allclose(found, torch.stack([_trial(numbers), _trial(-numbers)]), atol=1e-5):
        return "CUDA graphs do not work here: what was replayed computes other numbers."
    return None


def _trial(x: Tensor) -> Tensor:
    return x.sin() * 2 + x
