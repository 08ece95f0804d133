"""Writes ``docs/reliability.md`` from the list of rows: ``python -m tests.faults.reliability_page``."""

from __future__ import annotations

from pathlib import Path

from tests.faults.rows import EVERY, FIGURES, ROWS, Row

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"

_HEAD = """# Reliability and security

What can go wrong or be done to the studio, what it then promises, and the tests that hold it. The page is
made from `tests/faults/rows.py` by `python -m tests.faults.reliability_page`; a test compares the two and
looks for every test named here. The quick ones run with `python -m pytest -m faults`.

"Local" is a studio for its own machine, "auth" one behind a login, "public" one open to everybody. What lies
below the gate is the same code in all three.

"""
_ROWS_HEAD = "| # | Case | Promise | Modes | Proof |\n|---|---|---|---|---|\n"
_FIGURES_HEAD = "\n## Figures\n\n| What | Promised | Measured | Measured again by |\n|---|---|---|---|\n"


def page() -> str:
    """The whole page."""
    rows = "".join(_line(row) for row in ROWS)
    figures = "".join(
        f"| {each.what} | {each.promised} | {each.measured} | {_code(each.command)} |\n" for each in FIGURES
    )
    gaps = "".join(f"- Row {row.number}: {row.gap}\n" for row in ROWS if row.gap)
    return (
        _HEAD + _ROWS_HEAD + rows + _FIGURES_HEAD + figures + (f"\n## Not proved\n\n{gaps}" if gaps else "")
    )


def _line(row: Row) -> str:
    modes = "all" if set(row.modes) == set(EVERY) else ", ".join(row.modes) or "–"
    proof = "<br>".join(_code(test.rpartition("/")[2]) for test in row.tests) or "none yet"
    return f"| {row.number} | {row.case} | {row.promise} | {modes} | {proof} |\n"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
