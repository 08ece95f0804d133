"""Figures as a table and as a file."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import torch

from wan_core.bench.cases import OURS, Case
from wan_core.bench.peers import PEERS
from wan_core.bench.timing import Timing

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"

_HEADING = f"{'what':<16} {'who':<20} {'CPU s':>8} {'wall s':>8} {'peak MiB':>9} {'TFLOP/s':>8} {'of max':>7}"


def device_name(device: torch.device) -> str:
    """What the makers call the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpu_info = Path("/proc/cpuinfo")
    text = cpu_info.read_text(encoding="utf-8") if cpu_info.is_file() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def machine(device: torch.device, threads: int, versions: Mapping[str, str]) -> str:
    """One line about what is measured; ``versions`` of the peers by their names."""
    programs = "".join(f", {name} {version}" for name, version in versions.items())
    return f"{device_name(device)}, torch {torch.__version__}, {threads} thread(s){programs}"


def entry(
    case: Case, timings: dict[str, Timing], peaks: dict[str, int | None], device: torch.device
) -> dict[str, object]:
    """One case for the file.

    ``ratios`` say how many times as fast as each other we are, ``differences`` how far their results are
    from ours.
    """
    taken = {name: _decisive(timing, device) for name, timing in timings.items()}
    found: dict[str, object] = {
        "seconds": {
            name: {"cpu": _rounded(timing.cpu), "wall": _rounded(timing.wall)}
            for name, timing in timings.items()
        }
    }
    if OURS in taken:
        found["ratios"] = {name: _rounded(taken[name] / taken[OURS]) for name in taken if name != OURS}
        found["target"] = case.target
    if case.differences:
        found["differences"] = {name: _rounded(far) for name, far in case.differences.items()}
    if case.weighs:
        found["peak_mib"] = {name: peak and round(peak / 2**20) for name, peak in peaks.items()}
    if case.flops and case.rate:
        achieved = case.flops / taken[OURS]
        found["tflops"] = _rounded(achieved / 1e12)
        found["share_of_matrix_rate"] = _rounded(achieved / case.rate)
    return found | ({"notes": case.notes} if case.notes else {})


def _decisive(timing: Timing, device: torch.device) -> float:
    """What a device is judged by: a CPU that is shared by what we computed, a card by the clock."""
    return timing.wall if device.type == "cuda" else timing.cpu


def _rounded(number: float) -> float:
    return float(f"{number:.3g}")


def heading() -> str:
    """Above the rows of ``lines``."""
    return _HEADING


def lines(name: str, found: dict[str, object]) -> list[str]:
    """The rows of one case, a line for everyone who took part."""
    rows = []
    for who, seconds in found["seconds"].items():
        peak = found.get("peak_mib", {}).get(who)
        row = f"{name:<16} {who:<20} {seconds['cpu']:>8.3g} {seconds['wall']:>8.3g} {peak or '':>9}"
        if who == OURS and "tflops" in found:
            row += f" {found['tflops']:>8.3g} {found['share_of_matrix_rate']:>7.0%}"
        if who in found.get("ratios", {}):
            row += f" we are {found['ratios'][who]:.2f} times as fast"
        if who in found.get("differences", {}):
            row += f", differs by {found['differences'][who]:.1e}"
        rows.append(row.rstrip())
    if found.get("target") and found.get("ratios"):
        rows.append(f"{'':<16} target {found['target']:.2f}: {_judged(found['ratios'], found['target'])}")
    return rows + [f"{'':<16} {note}" for note in found.get("notes", ())]


def _judged(ratios: dict[str, float], target: float) -> str:
    """Beside whom a target is reached; it is set for peers that are not compiled."""
    plain = {name: ratio for name, ratio in ratios.items() if name in PEERS}
    return ", ".join(
        f"{'reached' if ratio >= target else 'missed'} beside {name}" for name, ratio in plain.items()
    )


def save(
    cases: dict[str, object], device: torch.device, rounds: int, versions: Mapping[str, str] | None = None
) -> Path:
    """Write ``bench-<device>.json``; cases that were not run this time keep their figures.

    ``versions`` of the peers that took part are written down beside those of earlier runs.
    """
    name = device_name(device)
    target = RESULTS / f"bench-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.json"
    known = json.loads(target.read_text(encoding="utf-8")) if target.is_file() else {}
    content = {
        "device": name,
        "threads": torch.get_num_threads(),
        "rounds": rounds,
        "load_average": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "torch": version("torch"),
        "peers": known.get("peers", {}) | dict(versions or {}),
        "cases": known.get("cases", {}) | cases,
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return target
