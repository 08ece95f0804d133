"""Writes ``docs/reliability.md`` from the list of rows: ``python -m tests.faults.reliability_page``."""

from __future__ import annotations

from pathlib import Path

from tests.faults.rows import EVERY, FIGURES, ROWS, Row
from tests.faults.soak_figures import latest_soak, measured, table

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"

_HEAD = """# Reliability and security

What can go wrong or be done to the studio, what it then promises, and the tests that hold it. The page is
made from `tests/faults/rows.py` by `python -m tests.faults.reliability_page`; a test compares the two and
looks for every test named here. The quick ones run with `python -m pytest -m faults`.

"Local" is a studio for its own machine, "auth" one behind a login, "public" one open to everybody. What lies
below the gate is the same code in all three.

"""
_ROWS_HEAD = "| # | Case | Promise | Modes | Proof |\n|---|---|---|---|---|\n"
_FIGURES_HEAD = "\n## Figures\n\n| What | Promised | Measured | Measured again by |\n|---|---|---|---|\n"
_SOAK_HEAD = """
## The soak

`python benchmarks/soak.py` kills, refuses and loads for 20 minutes; each stage runs alone with `--stages`.
The last run, whose figures lie in `benchmarks/results/`:

"""
_PLOT = "\n![Answers, memory, open files and jobs during the load stage](soak.svg)\n"


def page() -> str:
    """The whole page."""
    rows = "".join(_line(row) for row in ROWS)
    soak = latest_soak()
    figures = "".join(
        f"| {each.what} | {each.promised} | {measured(soak, each.what) or each.measured} | "
        f"{_code(each.command)} |\n"
        for each in FIGURES
    )
    gaps = "".join(f"- Row {row.number}: {row.gap}\n" for row in ROWS if row.gap)
    parts = [_HEAD, _ROWS_HEAD, rows, _FIGURES_HEAD, figures]
    parts += [_SOAK_HEAD, table(soak), _PLOT] if soak else []
    return "".join(parts) + (f"\n## Not proved\n\n{gaps}" if gaps else "")


def _line(row: Row) -> str:
    modes = "all" if set(row.modes) == set(EVERY) else ", ".join(row.modes) or "–"
    proof = "<br>".join(_code(test.rpartition("/")[2]) for test in row.tests) or "none yet"
    return f"| {row.number} | {row.case} | {row.promise} | {modes} | {proof} |\n"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
