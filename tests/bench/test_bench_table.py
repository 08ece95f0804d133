"""The table says of a case what was measured of it, and only it is replaced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.bench_table import PAGE, table, written
from benchmarks.report import RESULTS
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


def test_nothing_but_the_tables_is_replaced_each_by_its_machine_s(tmp_path: Path) -> None:
    begin, end = "<!-- bench-{}: written by benchmarks.bench_table -->\n", "<!-- /bench -->\n"
    cases = {"one-core": {"dit-bf16-560": case(1.3)}, "a2": {"vae-bf16": case(2.5)}}
    page = shown = "before\n"
    for device, kept in cases.items():
        (tmp_path / f"bench-{device}.json").write_text(json.dumps({"cases": kept}), encoding="utf-8")
        page += f"{begin.format(device)}old\n{end}between\n"
        shown += f"{begin.format(device)}{table(kept)}{end}between\n"
    assert written(page, tmp_path) == shown
    assert written(shown, tmp_path) == shown
    with pytest.raises(ValueError, match="no mark"):
        written("nothing", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"bench-a3\.json"):
        written(f"{begin.format('a3')}{end}", tmp_path)


def test_the_page_shows_what_is_kept_and_names_cases_that_there_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page
    assert all(f"<!-- {kept.stem}:" in page for kept in RESULTS.glob("bench-*.json"))
    commands = [line for line in page.splitlines() if line.startswith("python -m wan_core bench")]
    named = {name for line in commands for name in line.partition("--only ")[2].split()}
    assert len(named) > 10 and named <= CASES.keys()
