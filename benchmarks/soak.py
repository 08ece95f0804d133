"""The release run for reliability: ``python benchmarks/soak.py``, or ``-m``; up to an hour.

``--stages kills app`` runs some stages alone, ``--minutes 5`` all of them with fewer cases. Each stage adds
its part to ``benchmarks/results/soak-<device>.json`` and has ``docs/reliability.md`` made anew; the load
stage also draws ``docs/soak.svg``. At the end a table is printed; the exit code is 1 if anything was lost or
a figure that is promised was missed.

kills   a studio without a page and its worker are killed at random
app     the whole app is killed at random
places  the process dies at each named place of a real job
writes  every write fails as on a full and on a read-only disk; every twelfth in three other ways
jobs    many jobs one after the other: memory, open files, threads, processes
swaps   many model swaps in one process
memory  memory runs out at operations drawn by chance
load    70 clients and a queue of 500 while workers are killed
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import soak_leaks, soak_load, soak_plot
from benchmarks.report import save, saved
from tests.faults import every_write
from tests.faults.crashes import Tally, kill_often
from tests.faults.reliability_page import PAGE, page
from tests.faults.soak_figures import table
from tests.faults.whole_app import kill_app

PLOT = ROOT / "docs" / "soak.svg"
SERVING, RESPAWN = 15.0, 10.0
"""Seconds that are promised."""

_FULL_MINUTES = 55.0
_STRIDES = {"full": 1, "read-only": 1}

Report = dict[str, Any]


Stage = Callable[[Path, float, int], Report]
"""``stage(folder, share, seed)`` does that share of its cases."""


def _count(full: int, share: float) -> int:
    return max(round(full * share), 2)


def _crashes(tally: Tally) -> Report:
    report = tally.report()
    slow = report["serving_seconds_worst"] > SERVING or report["respawn_seconds_worst"] > SERVING + RESPAWN
    return {**report, "passed": tally.is_clean and not slow}


def _kills(folder: Path, share: float, seed: int) -> Report:
    return _crashes(kill_often(folder / "home", _count(200, share), seed))


def _app(folder: Path, share: float, seed: int) -> Report:
    return _crashes(kill_app(folder / "home", _count(20, share), seed))


def _places(folder: Path, share: float, seed: int) -> Report:
    command = [sys.executable, "-m", "tests.faults.at_failpoints", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    wrong = {place: row["wrong"] for place, row in found.items() if row["wrong"]}
    slowest = max(float(row["seconds"] or 0) for row in found.values())
    return {"cases": len(found), "wrong": wrong, "slowest_seconds": slowest, "passed": not wrong}


def _writes(folder: Path, share: float, seed: int) -> Report:
    def refused(number: int, way: str) -> Report:
        stride = max(round(_STRIDES.get(way, 12) / share), 1)
        (folder / way).mkdir()
        found = every_write.run(way, stride, 1 + (seed + number) % stride, folder / way)
        return {"writes": found.writes, "cases": found.cases, "wrong": found.wrong}

    with ThreadPoolExecutor() as pool:  # mostly, a studio waits for its disk to become well
        found = pool.map(refused, range(len(every_write.WAYS)), every_write.WAYS)
        reports = dict(zip(every_write.WAYS, found, strict=True))
    return {"ways": reports, "passed": not any(found["wrong"] for found in reports.values())}


def _jobs(folder: Path, share: float, seed: int) -> Report:
    report = soak_leaks.many_jobs(folder / "home", max(_count(200, share), 40))
    return {**report, "passed": soak_leaks.jobs_passed(report)}


def _swaps(folder: Path, share: float, seed: int) -> Report:
    report = soak_leaks.many_swaps(max(_count(100, share), 25))
    return {**report, "passed": soak_leaks.swaps_passed(report)}


def _memory(folder: Path, share: float, seed: int) -> Report:
    command = [sys.executable, "-m", "tests.faults.dry_memory", "--jobs", str(_count(200, share))]
    done = subprocess.run([*command, "--seed", str(seed)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def _load(folder: Path, share: float, seed: int) -> Report:
    report = soak_load.load(folder / "home", _count(500, share), seed)
    soak_plot.draw(PLOT, report["samples"])
    return {**report, "passed": soak_load.passed(report)}


STAGES: dict[str, Stage] = {
    "kills": _kills,
    "app": _app,
    "places": _places,
    "writes": _writes,
    "jobs": _jobs,
    "swaps": _swaps,
    "memory": _memory,
    "load": _load,
}


def main() -> int:
    """Run the chosen stages; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stages", nargs="+", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--minutes", type=float, default=_FULL_MINUTES, help="for all stages together")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    share, reports = min(options.minutes / _FULL_MINUTES, 1.0), {}
    for name in options.stages:
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            reports[name] = STAGES[name](Path(folder), share, options.seed)
        reports[name]["stage_seconds"] = round(time.monotonic() - begin, 1)
        save("soak", {**saved("soak"), **reports})
        PAGE.write_text(page(), encoding="utf-8")
        print(f"{name}: {reports[name]['stage_seconds']} s", flush=True)
    print(table(reports))
    return 0 if all(report["passed"] for report in reports.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
