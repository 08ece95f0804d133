"""The table says of a case what was measured of it, and only it is replaced."""

from __future__ import annotations

import pytest

from benchmarks.bench_table import BEGIN, END, PAGE, table, written
from wan_core.bench.cases import CASES, COMPILED, OURS, THEIRS

STUDIO = "diffsynth"


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
    assert (
        slow == "| transformer, bf16, 560 tokens | 2 | 2 (1.20×) | 2 (1.10×) | 1.25, missed | 90% | 39 |  |"
    )
    heading, _, fast = table({"dit-bf16-560": case(1.25)}).splitlines()
    assert "missed" not in fast and fast.count("|") == heading.count("|")
    *_, plain = table({"demo": {"seconds": {OURS: {"cpu": 1.34, "wall": 2}}}}).splitlines()
    assert plain == "| a demo clip from prompt to file | 1.34 |  |  |"


def test_two_peers_have_their_columns_and_what_is_said_of_them() -> None:
    both = case(1.5)
    both["seconds"][STUDIO] = {"cpu": 2.4, "wall": 9.0}
    both["ratios"][STUDIO] = 1.2
    both["peak_mib"][STUDIO] = 50
    both["differences"] = {THEIRS: 0.004, STUDIO: 0.0213}
    both["notes"] = ["diffsynth, compiled is left out."]
    heading, _, row, *said = table({"dit-bf16-560": both}).splitlines()
    assert heading == (
        "| what | ours, s | diffusers | diffusers, compiled | diffsynth | target | of the matrix rate "
        "| MiB, ours | MiB, diffusers | MiB, diffsynth |"
    )
    assert row == (
        "| transformer, bf16, 560 tokens | 2 | 2 (1.50×) | 2 (1.10×) | 2.4 (1.20×) "
        "| 1.25, missed beside diffsynth | 90% | 39 |  | 50 |"
    )
    assert [line for line in said if line] == [
        "Results differ from ours by at most 2.1e-02 in bfloat16.",
        "transformer, bf16, 560 tokens: diffsynth, compiled is left out.",
    ]


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
