"""The parts of the gate that a running studio would take long to show."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from ui.links import link, name_of
from ui.serving.access import Access, on_space
from ui.serving.file_names import FileNames
from ui.serving.gate import Gate
from ui.serving.gate_answers import reworded
from ui.serving.gate_bodies import TooSlow, going_on, read_body
from ui.serving.house import House
from ui.serving.limits import Limits, Room, Throttle
from ui.serving.visiting import COOKIE
from wan_core.jobs.visitors import VISITOR


def test_so_many_in_so_many_seconds() -> None:
    now = [0.0]
    throttle = Throttle(2, 60.0, lambda: now[0])
    assert [throttle.takes("a") for _ in range(3)] == [True, True, False]
    assert throttle.takes("b")
    now[0] = 60.0
    assert throttle.takes("a")
    assert Throttle(None).takes("a") and not Throttle(None).is_full("a")


def test_keys_that_were_longest_unseen_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.serving.limits._MOST_KEYS", 3)
    throttle = Throttle(1)
    assert all(throttle.takes(key) for key in "abcd")
    assert throttle.takes("a")
    assert not throttle.takes("d")


def test_old_uploads_make_room(tmp_path: Path) -> None:
    room = Room(tmp_path, Limits(room=1000, spare=0))
    for name, age in (("old", 7200), ("new", 0)):
        path = tmp_path / name / "a.png"
        path.parent.mkdir()
        path.write_bytes(bytes(400))
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    assert room.take(500)
    assert not (tmp_path / "old" / "a.png").exists() and (tmp_path / "new" / "a.png").exists()
    assert not room.take(200)
    room.give_back(500)
    assert room.take(200)


def test_a_file_has_a_name_for_one_visitor(tmp_path: Path) -> None:
    names, made = FileNames(tmp_path), tmp_path / "outputs" / "a b.mp4"
    made.parent.mkdir()
    made.write_bytes(b"video")
    (tmp_path / "jobs.sqlite3").write_bytes(b"secret")
    told = names.name(made, "ann")
    assert names.path(told, "ann") == made
    assert names.path(told, "bob") is None and names.path(told, "") is None
    assert str(tmp_path) not in told
    assert names.path(told.replace("a b", "../jobs"), "ann") is None
    assert names.path(names.name(tmp_path / "jobs.sqlite3", "ann"), "ann") is None
    assert names.path(names.name(Path("/etc/passwd"), "ann"), "ann") is None
    made.unlink()
    assert names.path(told, "ann") is None
    assert FileNames(tmp_path).name(made, "ann") != told


def test_a_visitor_keeps_the_cookie_and_gets_files_of_that_browser_alone(tmp_path: Path) -> None:
    made = tmp_path / "outputs" / "a.html"
    made.parent.mkdir()
    made.write_text("<script>alert(1)</script>")

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse([VISITOR.get(), link(made), name_of(made)])(scope, receive, send)

    house = House(Access(public=True), tmp_path, tmp_path / "cache")
    ann, bob = (TestClient(Gate(page, house), base_url="http://localhost") for _ in range(2))
    visitor, address, _ = ann.get("/").json()
    cookie = ann.cookies[COOKIE]
    assert len(cookie) == 43 and cookie not in visitor
    assert ann.get("/").json()[0] == visitor != bob.get("/").json()[0]
    answer = ann.get(f"/{address}")
    assert answer.text == made.read_text()
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert bob.get(f"/{address}").status_code == 403


def test_calls_and_streams_of_a_visitor_are_counted(tmp_path: Path) -> None:
    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("page")(scope, receive, send)

    house = House(Access(public=True), tmp_path, tmp_path / "cache", Limits(posts=3))
    client = TestClient(Gate(page, house), base_url="http://localhost")
    client.get("/")
    statuses = [client.post("/gradio_api/run/predict", json=[]).status_code for _ in range(5)]
    assert statuses == [400, 400, 400, 429, 429]
    assert house.answered == {200: 1, 400: 3, 429: 2}


async def _slowly(parts: list[bytes], seconds: float) -> dict[str, object]:
    await asyncio.sleep(seconds)
    return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}


def test_bodies_that_drip_are_given_up() -> None:
    with pytest.raises(TooSlow):
        asyncio.run(read_body(lambda: _slowly([b"a"] * 9, 0.05), 100, 0.1))
    with pytest.raises(TooSlow):
        asyncio.run(going_on(lambda: _slowly([b"a"], 1.0), 100, 0.05)())
    parts = [b"a", b"b"]
    assert asyncio.run(read_body(lambda: _slowly(parts, 0.0), 100, 5)) == b"ab"


def test_errors_have_an_id_and_no_place() -> None:
    for status, body in (
        (500, b'{"error": null}'),
        (500, b"Traceback: File /root/a.py"),
        (403, b'{"detail": "File not allowed: /root/a."}'),
        (
            422,
            b'{"detail": [{"loc": ["body", "data"], "msg": "No list", "input": "/root/a"}]}',
        ),
    ):
        changed, told = reworded(status, body)
        assert changed == status
        assert b"/root" not in told and len(json.loads(told)["id"]) == 8
    assert json.loads(told)["error"] == "data: No list."
    status, told = reworded(500, b'{"error": "prompt: it is empty."}')
    assert (status, json.loads(told)["error"]) == (400, "prompt: it is empty.")


def test_a_space_is_public_unless_it_has_a_login() -> None:
    space = {"SPACE_ID": "ann/studio", "SPACE_HOST": "ann-studio.hf.space"}
    assert on_space(Access(), {}) == Access()
    assert on_space(Access(), space).mode == "public"
    assert on_space(Access(), space).names == ("ann-studio.hf.space",)
    assert on_space(Access(login=("ann", "secret")), space).mode == "auth"
