"""Damaged files by the thousand: ``python -m benchmarks.fuzz --cases 20000``.

Prints a table and keeps it in ``benchmarks/results``; ends with 1 if any file crashed its reader, kept it
busy for more than 5 seconds, or was answered by anything but a sentence of ours. One file again, to look at
it: ``--format png --case 17 > a.png``.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.report import save
from tests.faults.fuzzing import SHARES, as_report, as_table, fuzz, shares
from tests.faults.mutations import damaged


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", choices=SHARES, help="only this one")
    parser.add_argument("--case", type=int, help="write this damaged file to standard output, and read none")
    asked = parser.parse_args()
    if asked.case is not None:
        sys.stdout.buffer.write(damaged(asked.format, asked.case, asked.seed))
        return 0
    begun = time.monotonic()
    wanted = {asked.format: asked.cases} if asked.format else shares(asked.cases)
    tallies = []
    for format, count in wanted.items():
        tallies.append(fuzz(format, count, asked.seed))
        print(f"{format}: {count} in {time.monotonic() - begun:.0f} s so far", file=sys.stderr, flush=True)
    report = as_report(tallies, asked.seed) | {"seconds": round(time.monotonic() - begun)}
    print(as_table(tallies))
    for tally in tallies:
        print(*tally.guilty, sep="\n", end="\n" if tally.guilty else "")
    if not asked.format:
        print(save("fuzz", report))
    return 0 if all(tally.is_clean for tally in tallies) else 1


if __name__ == "__main__":
    sys.exit(main())
