from __future__ import annotations

import pytest

from tests.pretend_card.card import guard_missing


@pytest.fixture(autouse=True)
def _can_pretend() -> None:
    """Not while tests are collected: a process that learns of CUDA does not forget it."""
    if missing := guard_missing():
        pytest.skip(missing)
