"""What the history answers to a browser, whatever that browser sends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.jobs.test_store import result_of
from ui.context import Context
from ui.making import editing
from ui.result import opening
from ui.strings import CHINESE, ENGLISH
from ui.tabs.history import Doors, search_of
from wan_core.jobs.job import JobStatus, WorkerState, WorkerStatus
from wan_core.jobs.past import Search
from wan_core.schema import GenerationRequest, InvalidRequest, StoreError


@pytest.fixture
def doors(context: Context) -> Doors:
    return Doors(context)


def made(context: Context, prompt: str = "a star") -> str:
    job_id = context.store.submit(GenerationRequest(prompt=prompt))
    context.store.claim()
    context.store.finish(job_id, result_of(context.settings, job_id, {"denoise": 4.0}))
    return job_id


@pytest.mark.parametrize(
    "asked",
    [
        None,
        [],
        "look",
        {"search": 7, "shown": "many", "after": "x", "known": {}},
        {"search": {"words": ["a"], "since": "now", "until": float("nan"), "model": None, "tag": 3}},
        {"shown": -5, "after": [1, 2, 3]},
        {"after": [None, True]},
        {"shown": 1e300},
    ],
)
def test_nonsense_is_answered_like_no_question(doors: Doors, context: Context, asked: Any) -> None:
    job_id = made(context)
    told = doors.open("look", asked)
    assert [card["id"] for card in told["past"]] == [job_id]
    assert told["count"] == 1 and told["after"] is None and told["queue"] == []


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"does": "format the disk"},
        {"does": "__init__"},
        {"does": "star"},
        {"does": "delete", "job": ["x"]},
        {"does": "move", "job": "x", "before": 5},
        {"does": "tag", "job": "nobody", "tags": 5},
        {"does": "folder", "job": "../.."},
        {"does": "log", "job": "../../etc/passwd"},
        {"does": "again", "job": "nobody\0"},
    ],
)
def test_a_deed_without_sense_changes_nothing(doors: Doors, context: Context, asked: Any) -> None:
    job_id = made(context)
    before = context.store.get(job_id)
    told = doors.open("act", asked)
    assert "error" not in told
    assert context.store.get(job_id) == before and context.store.queue() == []


def test_only_what_has_changed_is_told(doors: Doors, context: Context) -> None:
    first = doors.open("look", {})
    assert "past" not in doors.open("look", {"known": first["revision"]})
    job_id = made(context)
    second = doors.open("look", {"known": first["revision"]})
    assert [card["id"] for card in second["past"]] == [job_id]
    assert second["revision"] != first["revision"]


def test_a_page_follows_a_page(doors: Doors, context: Context) -> None:
    ids = [made(context, str(number)) for number in range(30)]
    first = doors.open("look", {})
    assert [card["id"] for card in first["past"]] == ids[:5:-1] and first["count"] == 30
    second = doors.open("look", {"after": list(first["after"])})
    assert [card["id"] for card in second["past"]] == ids[5::-1] and second["after"] is None
    assert len(doors.open("look", {"shown": 30})["past"]) == 30


def test_the_queue_says_when_it_is_done_and_whether_that_is_a_guess(doors: Doors, context: Context) -> None:
    for _ in range(2):
        context.store.submit(GenerationRequest(prompt="a star"))
    assert doors.open("look", {})["total"] == ""  # nothing is known, not even the device
    context.store.beat(WorkerStatus(WorkerState.IDLE, device="CPU"))
    told = doors.open("look", {})
    assert all("(guess)" in row["html"] for row in told["queue"]) and "(guess)" in told["total"]
    context.store.cancel_all()
    made(context)
    for _ in range(2):
        context.store.submit(GenerationRequest(prompt="a star"))
    told = doors.open("look", {})
    assert "done in ≈4 s<" in told["queue"][0]["html"] and told["total"] == "all done in ≈8 s"
    context.store.pause()
    assert doors.open("look", {})["total"] == ""


def test_a_log_and_a_folder_are_for_the_owner(
    context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[Path] = []
    monkeypatch.setattr(opening, "open_folder", lambda folder: not opened.append(folder))
    job_id, failed = made(context), context.store.submit(GenerationRequest(prompt="b"))
    context.store.claim()
    context.store.fail(failed, "Broken.")
    log = context.store.log_path(failed)
    log.parent.mkdir()
    log.write_text("what happened in /secret")
    stranger = Doors(Context(context.executor, context.errands, context.kept, owned=False))
    for doors, seen in ((stranger, False), (Doors(context), True)):
        assert ("secret" in doors.open("act", {"does": "log", "job": failed})["log"]) == seen
        assert doors.open("act", {"does": "folder", "job": job_id}) == {}
        assert opened == [context.settings.outputs_dir] * seen


def test_a_disk_that_refuses_is_said(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(type(doors._context.store), "queue", refuse)
    monkeypatch.setattr(type(doors._context.store), "delete", refuse)
    assert doors.open("look", {}) == {"error": "The disk is full."}
    assert doors.open("act", {"does": "delete", "job": "x"}) == {"error": "The disk is full."}


def test_what_a_browser_searches_for() -> None:
    asked = {"words": "fox", "since": 5, "until": 7.5, "favourites": True, "model": "demo", "tag": "a"}
    assert search_of(asked, ENGLISH) == Search("fox", "demo", 5.0, 7.5, True, "a")
    assert search_of({"favourites": "yes", "since": True}, ENGLISH) == Search()
    assert search_of({"words": "演示"}, CHINESE).titles["demo"] == "演示模型（内置）"


def test_an_edited_job_keeps_its_place_and_one_that_has_begun_is_left_alone(context: Context) -> None:
    store, words = context.store, ENGLISH.history
    first, second = (store.submit(GenerationRequest(prompt=prompt)) for prompt in "ab")
    changed = [GenerationRequest(prompt="c"), GenerationRequest(prompt="d")]
    assert editing.submit(context, changed, first) == words.saved
    assert [job.request.prompt for job in store.queue()] == ["c", "b", "d"]
    assert store.claim().id == first
    assert editing.submit(context, changed, first) == words.started
    assert [job.request.prompt for job in store.queue()] == ["c", "b", "d"]
    with pytest.raises(InvalidRequest):
        editing.submit(context, [GenerationRequest(prompt=" ")], second)
    assert store.get(second).status is JobStatus.QUEUED
