"""Kills at random moments: nothing acknowledged and nothing finished is ever lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.crashes import kill_often
from tests.faults.whole_app import WholeApp, kill_app

pytestmark = pytest.mark.faults

SERVING_SECONDS, RESPAWN_SECONDS = 15, 10
"""What is promised on a quiet machine; the soak run holds it, here the machine may be busy."""


def test_kills_of_worker_and_studio_lose_nothing(tmp_path: Path) -> None:
    tally = kill_often(tmp_path, kills=10)
    print(tally.report())
    assert tally.is_clean, tally
    assert tally.kills == 10 and len(tally.acknowledged) >= 10
    assert max(tally.serving) <= 4 * SERVING_SECONDS
    assert max(tally.respawn) <= 4 * RESPAWN_SECONDS


def test_kills_of_the_whole_app_lose_nothing(tmp_path: Path) -> None:
    tally = kill_app(tmp_path / "home", kills=2)
    print(tally.report())
    assert tally.is_clean, tally
    assert tally.kills == 2 and len(tally.acknowledged) >= 3
    assert max(tally.serving) <= 4 * SERVING_SECONDS


def test_a_second_app_on_one_home_says_so_and_ends(tmp_path: Path) -> None:
    first, second = WholeApp(tmp_path / "home"), WholeApp(tmp_path / "home")
    first.start()
    with pytest.raises(RuntimeError):
        second.start()
    said = (tmp_path / "app.log").read_text()
    assert f"Another Wan Studio (process {first.pid}) is using {tmp_path / 'home'}; close it, or" in said
    assert "Traceback" not in said
    job_id = first.submit()
    assert first.call("status", job_id)["status"] in ("queued", "running", "done")
    assert first.stop() == 0
