"""The table says of a case what was measured of it, and only it is replaced."""

from __future__ import annotations

import pytest

from benchmarks.bench_table import BEGIN, END, PAGE, table, written
from wan_core.bench.cases import CASES, COMPILED, OURS, THEIRS


def case(ratio: float) -> dict[str, object]:
    return {
        "seconds": {who: {"cpu": 2.0, "wall": 9.0} for who in (OURS, THEIRS, COMPILED)},
        "ratios": {THEIRS: ratio, COMPILED: 1.1},
        "target": 1.25,
        "share_of_matrix_rate": 0.9,
        "peak_mib": {OURS: 39, THEIRS: None},
    }


def test_a_row_says_what_was_measured() -> None:
    *_, slow = table({"dit-bf16-560": case(1.2)}).splitlines()
    assert slow == (
        "| transformer, bf16, 560 tokens | 2 | 2 | 2 | 1.20 | 1.10 | 1.25, missed | 90% | 39 |  |"
    )
    *_, fast = table({"dit-bf16-560": case(1.25)}).splitlines()
    assert "missed" not in fast and fast.count("|") == table({}).splitlines()[0].count("|")
    *_, plain = table({"demo": {"seconds": {OURS: {"cpu": 1.34, "wall": 2}}}}).splitlines()
    assert plain == "| a demo clip from prompt to file | 1.34 |  |  |  |  |  |  |  |  |"


def test_nothing_but_the_table_is_replaced() -> None:
    page = f"before\n{BEGIN}old\n{END}after\n"
    assert written(page, "new\n") == f"before\n{BEGIN}new\n{END}after\n"
    with pytest.raises(ValueError, match="not found"):
        written("nothing", "new")


def test_the_page_has_its_place_and_names_cases_that_there_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(BEGIN) == page.count(END) == 1
    commands = [line for line in page.splitlines() if line.startswith("python -m wan_core bench")]
    named = {name for line in commands for name in line.partition("--only ")[2].split()}
    assert len(named) > 10 and named <= CASES.keys()
