"""How much the tests of faults do, and the studios that they attack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.attacked import MODES, Attacked, attacked


@pytest.fixture(scope="session")
def thorough(pytestconfig: pytest.Config) -> bool:
    """Whether this is ``python -m pytest -m faults``: more is done than among all tests."""
    return pytestconfig.getoption("markexpr") == "faults"


@pytest.fixture(scope="session", params=list(MODES))
def studio(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A studio that really runs: on this machine alone, behind a login, and open to all."""
    with attacked(request.param, tmp_path_factory.mktemp(f"attacked-{request.param}")) as studio:
        yield studio
