"""Writes ``docs/reliability.md`` from the list of rows: ``python -m tests.faults.reliability_page``."""

from __future__ import annotations

from pathlib import Path

from tests.faults.figures import FIGURES, Figure
from tests.faults.fuzz_figures import latest_fuzz, mutations_measured, mutations_table
from tests.faults.fuzzing import Tally
from tests.faults.row import EVERY, Row
from tests.faults.rows import ROWS
from tests.faults.soak_figures import Report, latest_soak, measured, minutes, table

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"

_HEAD = """# Reliability and security

What can go wrong or be done to the studio, what it then promises, and the tests that hold it. The page is
made from `tests/faults/rows_*.py` by `python -m tests.faults.reliability_page`; a test compares the two and
looks for every test named here. The quick ones run with `python -m pytest -m faults`.

"Local" is a studio for its own machine, "auth" one behind a login, "public" one open to everybody. What lies
below the gate is the same code in all three.

"""
_ROWS_HEAD = "| # | Case | Promise | Modes | Proof |\n|---|---|---|---|---|\n"
_FIGURES_HEAD = "\n## Figures\n\n| What | Promised | Measured | Measured again by |\n|---|---|---|---|\n"
_SOAK_HEAD = """
## The soak

`python benchmarks/soak.py` kills, refuses and loads for up to an hour; each stage runs alone with `--stages`.
The last run, whose figures lie in `benchmarks/results/`, took {minutes:.0f} minutes in all:

"""
_FUZZ_HEAD = """
## Damaged files

`python -m benchmarks.fuzz --cases 20000` damages sound files by chance and reads them as the studio does. A
crash is one of the process that asks, and so is the memory; a confined reader of pictures, videos or headers
has limits of its own (1.5 GiB, 4 GiB of addresses, 200 MiB), and when it dies of them, the file counts as
refused. `--format png --case 17 > a.png` writes one of them again. The last run:

"""
_SUPPLY = """
## Where packages and weights come from

- Requirements are pinned. `.ci/audit` reports known vulnerabilities of what is installed, and fails no build.
- A list of what an image holds, as CycloneDX, without anything in the image but Python:
  `docker run --rm -i --entrypoint python wan-studio - < .ci/sbom.py > sbom.cdx.json`
- Repositories of weights are pinned to a commit where it is known to us; `test_supply_chain.py` lists those
  that are not. Of these, the commit of the first download is kept with the files (`.first-seen.json`): what
  is fetched later comes from it and is compared with it, and *Verify* says when the hub has moved on.
- Whatever comes is compared with the SHA-256 of the catalog, else with the one that the hub tells, and a file
  of which neither tells one is not fetched. Of files that fit, safetensors go first; `trust_remote_code` is
  never set.
"""
_PLOT = "\n![Answers, memory, open files and jobs during the load stage](soak.svg)\n"


def page() -> str:
    """The whole page."""
    rows = "".join(_line(row) for row in ROWS)
    soak, fuzz = latest_soak(), latest_fuzz()
    figures = "".join(
        f"| {each.what} | {each.promised} | {_measured(each, soak, fuzz)} | {_code(each.command)} |\n"
        for each in FIGURES
    )
    gaps = "".join(f"- Row {row.number}: {row.gap}\n" for row in ROWS if row.gap)
    parts = [_HEAD, _ROWS_HEAD, rows, _FIGURES_HEAD, figures]
    parts += [_SOAK_HEAD.format(minutes=minutes(soak)), table(soak), _PLOT] if soak else []
    parts += [_FUZZ_HEAD, mutations_table(fuzz)] if fuzz else []
    parts.append(_SUPPLY)
    return "".join(parts) + (f"\n## Not proved\n\n{gaps}" if gaps else "")


def _measured(figure: Figure, soak: Report, fuzz: list[Tally]) -> str:
    found = mutations_measured(fuzz) if figure.what == "Mutations" else measured(soak, figure.what)
    return found or figure.measured


def _line(row: Row) -> str:
    modes = "all" if set(row.modes) == set(EVERY) else ", ".join(row.modes) or "–"
    proof = "<br>".join(_code(test.rpartition("/")[2]) for test in row.tests) or "none yet"
    return f"| {row.number} | {row.case} | {row.promise} | {modes} | {proof} |\n"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
