"""Kills at random moments: nothing acknowledged and nothing finished is ever lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.crashes import kill_often

pytestmark = pytest.mark.faults


def test_kills_of_worker_and_studio_lose_nothing(tmp_path: Path) -> None:
    tally = kill_often(tmp_path, kills=10)
    print(tally.report())
    assert tally.is_clean, tally
    assert tally.kills == 10 and len(tally.acknowledged) >= 10
    assert max(tally.serving) <= 15
    assert max(tally.respawn) <= 10
