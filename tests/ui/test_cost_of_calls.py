"""What a call through the API costs: nothing is copied, summed up or looked for that it does not need."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from gradio.state_holder import SessionState
from gradio_client import Client

from tests.ui.conftest import Studio
from ui.serving.light import lighten

_CALLS = 5


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The page of every copy that Gradio makes for a session."""
    made: list[object] = []
    begin = SessionState.__init__

    def counted(self: SessionState, blocks: object) -> None:
        made.append(blocks)
        begin(self, blocks)

    monkeypatch.setattr(SessionState, "__init__", counted)
    return made


def _call(studio: Studio, name: str, body: dict[str, object]) -> httpx.Response:
    return httpx.post(f"{studio.address}gradio_api/{name}", json=body, timeout=30)


def test_plain_calls_share_one_copy_of_the_page(studio: Studio, copies: list[object]) -> None:
    for name, values in {"generate": 2, "status": 1, "cancel": 1, "result": 1}.items():
        for way in ("run", "api"):
            answers = [_call(studio, f"{way}/{name}", {"data": [None] * values}) for _ in range(_CALLS)]
            assert {answer.status_code for answer in answers} <= {400, 404}
    assert copies == [studio.blocks]


def test_nothing_of_one_call_reaches_another(studio: Studio) -> None:
    asked = [f"wanted-{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda job: _call(studio, "run/status", {"data": [job]}).json(), asked))
    assert [answer["error"] for answer in answers] == [f"There is no job {job!r} here." for job in asked]


def test_whoever_brings_a_session_keeps_it(studio: Studio, copies: list[object]) -> None:
    state = studio.blocks.state_holder
    _call(studio, "run/status", {"data": ["nobody"]})
    (common,) = set(state.session_data) - {"mine", "yours"}
    for session in ("mine", "yours"):
        _call(studio, "run/status", {"data": ["nobody"], "session_hash": session})
    assert set(state.session_data) == {common, "mine", "yours"}
    refused = _call(studio, "run/status", {"data": ["nobody"], "fn_index": 0})
    assert refused.status_code == 400 and refused.json()["error"].startswith("fn_index: ")
    assert {id(page) for page in copies} == {id(studio.blocks)}


def test_the_queue_sums_nothing_up(studio: Studio) -> None:
    client = Client(studio.address, verbose=False)
    for _ in range(_CALLS):
        with pytest.raises(Exception, match="There is no job 'nobody' here"):
            client.predict("nobody", api_name="/status")
    queue = studio.blocks._queue
    assert queue.cached_event_analytics_summary == {"functions": {}}
    assert len(queue.event_analytics) <= 1


def test_matplotlib_is_not_looked_for(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    class Finder:
        @staticmethod
        def find_spec(name: str, *more: object) -> None:
            looked.append(name)

    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    lighten([])
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    for _ in range(_CALLS):
        _call(studio, "run/status", {"data": ["nobody"]})
    assert "matplotlib" not in looked
