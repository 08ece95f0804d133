"""What the last fuzz measured, for the page: read from ``benchmarks/results/fuzz-*.json``."""

from __future__ import annotations

import json

from tests.faults.fuzzing import Tally
from tests.faults.soak_figures import RESULTS


def latest_fuzz() -> list[Tally]:
    """A tally per format; none where no run was kept."""
    files = sorted(RESULTS.glob("fuzz-*.json"), key=lambda path: path.name)
    values = json.loads(files[-1].read_text(encoding="utf-8")) if files else {"formats": []}
    return [Tally(**tally) for tally in values["formats"]]


def mutations_measured(tallies: list[Tally]) -> str:
    """The figure of the page in words; empty where nothing was measured."""
    if not tallies:
        return ""
    worst = max(tally.worst_seconds for tally in tallies)
    bad = sum(tally.crashes + tally.unexpected for tally in tallies)
    return (
        f"{sum(tally.cases for tally in tallies):,} read, {bad} crashes or answers that are no sentence, "
        f"{sum(tally.hangs for tally in tallies)} above 5 s (worst {worst:.2f} s), "
        f"at most {max(tally.extra_mib for tally in tallies)} MiB more"
    )


def mutations_table(tallies: list[Tally]) -> str:
    """A row per format, in Markdown."""
    lines = [
        "| format | cases | refused | read | crashes | no sentence | above 5 s | worst s | MiB more |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in tallies:
        counts = (each.cases, each.refused, each.accepted, each.crashes, each.unexpected, each.hangs)
        cells = (each.format, *counts, f"{each.worst_seconds:.2f}", each.extra_mib)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"
