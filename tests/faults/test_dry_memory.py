"""Memory that runs out at operations drawn by chance; ``benchmarks/soak.py`` draws two hundred."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.dry_memory import Case, cases, run

pytestmark = pytest.mark.faults


def test_a_queue_gets_over_memory_that_runs_out_anywhere(tmp_path: Path, thorough: bool) -> None:
    count = 24 if thorough else 6
    report = run(tmp_path / "home", count)
    assert report.wrong == []
    assert (report.cases, report.done + report.failed) == (count, count)
    assert report.done and report.failed
    assert report.operations > 1000


def test_cases_are_drawn_from_all_of_a_job_and_are_the_same_again() -> None:
    drawn = cases(200, 5000)
    assert drawn == cases(200, 5000) != cases(200, 5000, seed=1)
    assert [case.first // 25 for case in drawn] == list(range(200))
    assert {case.times for case in drawn} == {1, 2, 3, 4, 10**9}
    assert cases(200, 5000)[17] == Case(17, drawn[17].first, drawn[17].times)
