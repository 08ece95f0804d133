"""Every promise names tests that exist, and the page says what the list says."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.faults.reliability_page import PAGE, page
from tests.faults.row import EVERY, Row
from tests.faults.rows import ROWS

ROOT = Path(__file__).resolve().parents[2]


@cache
def _functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_every_row_is_there_once() -> None:
    assert [row.number for row in ROWS] == list(range(1, 45))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_the_tests_of_a_row_exist(row: Row) -> None:
    for test in row.tests:
        file, _, name = test.partition("::")
        assert name.startswith("test_") and name in _functions(file), f"{test} is nowhere"
    assert bool(row.tests) == bool(row.modes) and set(row.modes) <= set(EVERY)


def test_the_page_is_the_list() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()
