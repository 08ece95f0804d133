"""Damaged files by the thousand, read in processes that may die of them; a table of what came of it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

SHARES = {"safetensors": 20, "gguf": 20, "pth": 20, "png": 16, "json": 14, "mp4": 5, "sqlite": 5}
"""Of a hundred cases; a video costs fifty times what a header does."""
HANG_SECONDS = 5.0
_KILL_SECONDS = 60.0


@dataclass
class Tally:
    """What came of one format's cases; ``guilty`` are numbers to look at again, with what happened."""

    format: str
    cases: int = 0
    refused: int = 0
    accepted: int = 0
    crashes: int = 0
    unexpected: int = 0
    hangs: int = 0
    worst_seconds: float = 0.0
    extra_mib: int = 0
    guilty: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not (self.crashes or self.unexpected or self.hangs)

    def count(self, number: int, outcome: str, seconds: float, words: str) -> None:
        self.cases += 1
        self.worst_seconds = max(self.worst_seconds, seconds)
        if outcome in ("refused", "accepted"):
            setattr(self, outcome, getattr(self, outcome) + 1)
        else:
            self.unexpected += 1
            self.guilty.append(f"{self.format} {number}: {outcome} {words}")
        if seconds > HANG_SECONDS:
            self.hangs += 1
            self.guilty.append(f"{self.format} {number}: {seconds:.1f} s")


def fuzz(format: str, cases: int, seed: int = 0, first: int = 0) -> Tally:
    """Read damaged files of a format; one that kills its reader is counted, and the next process goes on."""
    tally, last = Tally(format), first + cases
    while first < last:
        first = _one_process(tally, seed, first, last)
    return tally


def shares(cases: int) -> dict[str, int]:
    """How many of all cases each format gets."""
    return {format: max(cases * part // 100, 1) for format, part in SHARES.items()}


def as_table(tallies: list[Tally]) -> str:
    heads = (
        "format",
        "cases",
        "refused",
        "accepted",
        "crashes",
        "unexpected",
        "above 5 s",
        "worst s",
        "MiB more",
    )
    rows = [
        (
            t.format,
            t.cases,
            t.refused,
            t.accepted,
            t.crashes,
            t.unexpected,
            t.hangs,
            f"{t.worst_seconds:.2f}",
            t.extra_mib,
        )
        for t in tallies
    ]
    lines = [heads, *rows]
    widths = [max(len(str(line[column])) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(str(cell).rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )


def as_report(tallies: list[Tally], seed: int) -> dict[str, Any]:
    total = sum(tally.cases for tally in tallies)
    return {"seed": seed, "cases": total, "formats": [asdict(tally) for tally in tallies]}


def _one_process(tally: Tally, seed: int, first: int, last: int) -> int:
    """Read on from ``first``; returns the number to go on with."""
    with TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "tests.faults.victim",
            tally.format,
            str(seed),
            str(first),
            str(last),
        ]
        process = subprocess.Popen(
            [*command, folder], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        number, before, is_ready = first - 1, 0, False
        for kind, *told in _lines(process):
            if kind == "ready":
                is_ready, before = True, int(told[0])
            elif kind == "begin":
                number = int(told[0])
            elif kind == "end":
                outcome, seconds, mib, *words = told
                tally.count(number, outcome, float(seconds), " ".join(words))
                tally.extra_mib = max(tally.extra_mib, int(mib) - before)
        code, complaint = process.wait(), process.stderr.read()
        process.stdout.close()
        process.stderr.close()
    if not is_ready:
        raise RuntimeError(f"{tally.format} could not be tried: {complaint[-1000:]}")
    if code:
        tally.cases += 1
        tally.crashes += 1
        tally.guilty.append(f"{tally.format} {number}: ended with {code} {complaint[-200:]}")
    return number + 1


def _lines(process: subprocess.Popen[str]) -> Iterator[list[str]]:
    """What a process writes, word by word; it is killed when it is silent for a minute."""
    while True:
        watch = threading.Timer(_KILL_SECONDS, process.kill)
        watch.start()
        try:
            line = process.stdout.readline()
        finally:
            watch.cancel()
        if not line:
            return
        yield line.split()
