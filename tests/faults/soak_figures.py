"""What the last soak measured, for the page: read from ``benchmarks/results/soak-*.json``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"

MIB = 2**20

Report = dict[str, Any]
Cells = tuple[str, str, str, str]


def latest_soak() -> Report:
    """Stage -> its report; empty where no soak was kept."""
    files = sorted(RESULTS.glob("soak-*.json"), key=lambda path: path.name)
    values = json.loads(files[-1].read_text(encoding="utf-8")) if files else {}
    return {name: report for name, report in values.items() if name in CELLS}


def table(reports: Report) -> str:
    """What was run, in Markdown: cases, passed, lost, worst latency, memory growth."""
    lines = [
        "| stage | cases | passed | lost | worst latency | memory growth |",
        "|---|---|---|---|---|---|",
    ]
    for name, cells in CELLS.items():
        if name in reports:
            cases, *rest = cells(reports[name])
            row = [name, cases, "yes" if reports[name]["passed"] else "NO", *rest]
            lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def measured(soak: Report, figure: str) -> str:
    """A figure of the page in words; empty where the soak has not measured it."""
    words = _FIGURES.get(figure)
    try:
        return words(soak) if words else ""
    except KeyError:  # its stage was not run
        return ""


def minutes(reports: Report) -> float:
    """How long the stages took together."""
    return sum(report["stage_seconds"] for report in reports.values()) / 60


def lost(report: Report) -> int:
    """Jobs, results and files that are not as they should be."""
    names = ("lost_jobs", "lost_results", "partial_files_seen", "duplicate_results")
    return sum(report[name] for name in names)


def _crashes(report: Report) -> Cells:
    worst = f"serving {report['serving_seconds_worst']} s, worker {report['respawn_seconds_worst']} s"
    return f"{report['kills']} kills, {report['acknowledged_jobs']} jobs", str(lost(report)), worst, ""


def _places(report: Report) -> Cells:
    return f"{report['cases']} places", str(len(report["wrong"])), f"done {report['slowest_seconds']} s", ""


def _writes(report: Report) -> Cells:
    ways = report["ways"].values()
    cases, wrong = sum(found["cases"] for found in ways), sum(len(found["wrong"]) for found in ways)
    return f"{cases} writes", str(wrong), "", ""


def _jobs(report: Report) -> Cells:
    return f"{report['jobs']} jobs", "0", "", f"{report['grown_mib']} MiB"


def _swaps(report: Report) -> Cells:
    return f"{report['swaps']} swaps", "0", "", f"{report['grown_mib']} MiB"


def _memory(report: Report) -> Cells:
    cases = f"{report['cases']} jobs, {report['failed']} failed"
    return cases, str(len(report["wrong"])), f"done {report['slowest_seconds']} s", ""


def _load(report: Report) -> Cells:
    submit, status = (report["latencies"][name]["p95"] for name in ("generate", "status"))
    memory = [sample["web"]["rss"] / MIB for sample in report["samples"]]
    grown = f"{memory[-1] - memory[min(10, len(memory) - 1)]:.0f} MiB" if memory else ""
    cases = f"{report['acknowledged_jobs']} jobs, {report['kills']} kills"
    return cases, str(lost(report) + report["crossed"]), f"p95 submit {submit} s, status {status} s", grown


CELLS: dict[str, Callable[[Report], Cells]] = {
    "kills": _crashes,
    "app": _crashes,
    "places": _places,
    "writes": _writes,
    "jobs": _jobs,
    "swaps": _swaps,
    "memory": _memory,
    "load": _load,
}


def _of_load(soak: Report) -> str:
    load = soak["load"]
    submit, status = (load["latencies"][name]["p95"] for name in ("generate", "status"))
    return (
        f"{load['acknowledged_jobs']} jobs, {lost(load)} lost, {load['crossed']} mixed up; "
        f"submit p95 {submit} s, status p95 {status} s, slowest `/health` {load['probe']['worst']} s"
    )


def _of_crashes(soak: Report) -> str:
    kills, app = soak["kills"], soak["app"]
    return f"{kills['kills']} and {app['kills']} kills: {lost(kills) + lost(app)} lost"


def _of_recovery(soak: Report) -> str:
    worker = soak["kills"]["respawn_seconds_worst"]
    return f"serving {soak['app']['serving_seconds_worst']} s, worker {worker} s"


def _of_leaks(soak: Report) -> str:
    jobs, swaps = soak["jobs"], soak["swaps"]
    return (
        f"{jobs['jobs']} jobs: {jobs['grown_mib']} MiB; {swaps['swaps']} swaps: {swaps['grown_mib']} MiB, "
        f"{swaps['grown_files']:.0f} files"
    )


def _of_memory(soak: Report) -> str:
    memory = soak["memory"]
    return (
        f"{memory['cases']} of {memory['operations']:,} operations: {memory['done']} jobs done, "
        f"{memory['failed']} failed and done the next time, {len(memory['wrong'])} not as promised"
    )


_FIGURES: dict[str, Callable[[Report], str]] = {
    "Load": _of_load,
    "Crashes": _of_crashes,
    "Recovery": _of_recovery,
    "Leaks": _of_leaks,
    "Memory": _of_memory,
}
