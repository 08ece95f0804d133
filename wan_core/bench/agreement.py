"""Whether those who are measured do the same work."""

from __future__ import annotations

import torch
from torch import Tensor

from wan_core.bench.cases import OURS, Case
from wan_core.bench.peers import DOES_NOT_RUN
from wan_core.bench.timing import first_run


def run_once(case: Case, device: torch.device) -> None:
    """The first run of each, not timed, and how far its result is from ours.

    A peer that fails, or whose result is further away than roundings are, is left out, and ``case`` says why.
    """
    ours: object = None
    for name, run in list(case.runs.items()):
        try:
            made = first_run(run, device)
        except DOES_NOT_RUN as error:
            if name == OURS or OURS not in case.runs:
                raise
            case.excuse(name, error)
            continue
        if name == OURS:
            ours = made
        elif case.roundings is not None:
            _compare(case, name, ours, made)


def _compare(case: Case, name: str, ours: Tensor, theirs: Tensor) -> None:
    found = difference(ours, theirs)
    if found <= case.roundings:
        case.differences[name] = found
    else:
        del case.runs[name]
        case.notes.append(
            f"{name} is left out: its result differs from ours by {found:.2g}, more than "
            f"the {case.roundings:g} of roundings."
        )


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Size of the difference as a share of ours (2-norms); shapes must be the same."""
    if ours.shape != theirs.shape:
        return float("inf")
    ours, theirs = ours.double(), theirs.double()
    return float((theirs - ours).norm() / ours.norm())
