"""How much the tests of faults do: a little among all tests, more where they are asked for by themselves."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def thorough(pytestconfig: pytest.Config) -> bool:
    """Whether this is ``python -m pytest -m faults``."""
    return pytestconfig.getoption("markexpr") == "faults"
