"""Any write may be refused or be the last: a few of those that ``tests/faults/every_write.py`` tries."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults.every_write import WAYS, run

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler"),
]


@pytest.mark.parametrize(("way", "offset"), list(zip(WAYS, (3, 11, 19, 27, 35), strict=True)), ids=[*WAYS])
def test_a_write_that_fails_or_is_the_last_loses_nothing(way: str, offset: int, tmp_path: Path) -> None:
    report = run(way, 55, offset, tmp_path)
    assert report.writes > 100, "SQLite's writes are counted, too"
    assert report.cases >= 4
    assert report.wrong == {}
