"""Other tests as on a card: ``python -m pytest -p tests.pretend_card.plugin tests/test_engine.py``.

What asks for the CPU gets the pretended card. Tests that look for what only a CPU does fail then; the others
are to pass.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pretend_card.card import guard_missing, pretended
from wan_core.manager import devices

_choose = devices.choose_device
devices.choose_device = lambda name: _choose(
    "cuda" if name in ("cpu", "auto") else name
)  # before others take it


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    if missing := guard_missing():
        pytest.exit(missing)
    with pretended():
        return (yield)
