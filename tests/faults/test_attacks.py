"""What strangers send: to a studio that really runs, on this machine alone, behind a login, and open to all.

Each test is one row of the table of attacks. The last one adds up: no byte of a canary, no place on this
machine and no traceback in any answer, and nothing that left the process.
"""

from __future__ import annotations

import json
import random
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psutil
import pytest

from tests.faults.attacked import CANARY, LOGIN, Attacked
from tests.faults.watched_app import BODY_SECONDS, ROOM
from tests.jobs.conftest import wait_for
from wan_core.catalog import find_model
from wan_core.jobs.public_rules import PublicRules
from wan_core.jobs.store import JobStore
from wan_core.schema import Settings, knobs

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

RUN = "/gradio_api/run/predict"
JSON = {"content-type": "application/json"}
PICTURE = {"files": ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(100), "image/png")}


def spellings(home: Path) -> list[str]:
    """Paths to files that are not served, in every way that a path can be written."""
    secret, plain = str(home / "secret.txt"), str(home / "outputs" / ".." / "secret.txt")
    up = "../" * 8
    twice = quote(quote(up, safe=""), safe="")
    return [
        secret,
        plain,
        quote(secret, safe=""),
        quote(plain, safe=""),
        f"/{secret}",
        f"//{secret}",
        f"file://{secret}",
        f"{home}/outputs/%2e%2e/secret.txt",
        f"{home}/outputs/%2e%2e%2fsecret.txt",
        f"{home}/outputs/..%2fsecret.txt",
        f"{home}/outputs/..%5csecret.txt",
        f"{home}/outputs/....//secret.txt",
        f"{home}/outputs/..;/secret.txt",
        f"{home}/outputs/%c0%ae%c0%ae/secret.txt",
        f"{home}/outputs/./../secret.txt",
        f"{home}/outputs//../secret.txt",
        f"{home}/jobs.sqlite3",
        f"{home}/settings.json",
        f"{home}/outputs",
        f"{home}/secret.txt%00.mp4",
        "/etc/passwd",
        f"{up}etc/passwd",
        f"{quote(up, safe='')}etc/passwd",
        f"{twice}etc/passwd",
        "/proc/self/environ",
        "/proc/self/cwd/app.py",
        "app.py",
        "./app.py",
        "secret.txt",
        "../secret.txt",
        "~/secret.txt",
        "made/" + "0" * 40 + "/jobs.sqlite3",
        "made//outputs/../secret.txt",
    ]


def test_1_no_path_leads_out_of_the_served_folders(studio: Attacked) -> None:
    paths = spellings(studio.home)
    assert len(paths) >= 30
    for path in paths:
        for way in ("file=", "file/"):
            answer = studio.ask("GET", f"/gradio_api/{way}{path}")
            assert answer.status_code in (403, 404), (path, answer.status_code)
            assert path not in answer.text


def test_2_no_text_becomes_a_file(studio: Attacked) -> None:
    listeners = [(one["id"], len(one["inputs"])) for one in studio.config()["dependencies"]]
    quick = [(number, count) for number, count in listeners if count < 20]
    file = {"path": "app.py", "meta": {"_type": "gradio.FileData"}}
    for number, count in quick:
        for value in ("app.py", "../secret.txt", file):
            studio.call(number, [value] * count, event_data={"asked": {}, "does": value})
    copied = [path.read_bytes() for path in (studio.home / "cache").rglob("*") if path.is_file()]
    assert not any(CANARY.encode() in content or b"parse_arguments" in content for content in copied)


def test_3_no_made_up_file_is_opened_or_fetched(studio: Attacked) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bait:
        bait.settimeout(0.3)
        port = bait.getsockname()[1]
        number, count = studio.listener("form-preflight", "focus")  # what the model sees of it
        for path in (
            f"http://127.0.0.1:{port}/a.png",
            f"//127.0.0.1:{port}/a.png",
            "https://example.com/a.png",
            "ftp://example.com/a.png",
            "file:///etc/passwd",
            "data:image/png;base64,AAAA",
            "\\\\example.com\\a.png",
        ):
            for key in ("path", "url"):
                file = {"path": "a.png", key: path, "meta": {"_type": "gradio.FileData"}}
                answer = studio.call(number, [file] * count)
                assert answer.status_code == 400, (key, path, answer.text)
                assert f".{key}: it" in answer.json()["error"]
        with pytest.raises(TimeoutError):
            bait.accept()
    forged = {"path": str(studio.home / "secret.txt"), "meta": {"_type": "gradio.FileData"}}
    assert studio.call(number, [forged] * count).status_code >= 400


CLOSED = [
    ("GET", "/gradio_api/proxy=http://127.0.0.1/"),
    ("GET", "/gradio_api/proxy=https://example.com/"),
    ("GET", "/gradio_api/file=http://example.com/a"),
    ("GET", "/gradio_api/file=https://example.com/a"),
    ("POST", "/gradio_api/process_recording"),
    ("POST", "/gradio_api/component_server"),
    ("GET", "/gradio_api/custom_component/a/client/component/index.js"),
    ("GET", "/monitoring"),
    ("GET", "/monitoring/summary"),
    ("GET", "/gradio_api/runs"),
    ("GET", "/runs"),
    ("POST", "/gradio_api/vibe-edit"),
    ("GET", "/gradio_api/vibe-code"),
    ("GET", "/gradio_api/profiling/summary"),
    ("GET", "/gradio_api/deep_link"),
    ("GET", "/gradio_api/token"),
    ("GET", "/gradio_api/dev/reload"),
    ("GET", "/docs"),
    ("GET", "/redoc"),
    ("GET", "/openapi.json"),
    ("GET", "/zh/docs"),
    ("GET", "/.env"),
    ("GET", "/.git/config"),
    ("PUT", "/config"),
    ("DELETE", "/config"),
    ("PATCH", "/gradio_api/run/predict"),
    ("TRACE", "/"),
    ("OPTIONS", "/gradio_api/upload"),
]
FOR_PROGRAMS = [
    ("GET", "/gradio_api/info"),
    ("GET", "/gradio_api/openapi.json"),
    ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/call/generate"),
    ("POST", "/gradio_api/run/generate"),
    ("POST", "/gradio_api/api/generate"),
    ("GET", "/gradio_api/queue/data"),
    ("GET", "/metrics"),
    ("GET", "/gradio_api/mcp/"),
]


def test_4_what_nobody_needs_is_not_there(studio: Attacked) -> None:
    for method, path in CLOSED + (FOR_PROGRAMS if studio.mode == "public" else []):
        assert studio.ask(method, path).status_code == 404, (method, path)


def test_5_other_sites_are_refused(studio: Attacked) -> None:
    own = studio.address
    for origin in (
        "http://evil.example",
        "null",
        "https://127.0.0.1.evil.example",
        f"{own}.evil.example",
        "x",
    ):
        for method, path in (("POST", RUN), ("POST", "/gradio_api/upload"), ("GET", "/config")):
            answer = studio.ask(method, path, headers={"origin": origin})
            assert answer.status_code == 403, (origin, path)
    assert studio.ask("POST", RUN, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert studio.ask("GET", "/config", headers={"origin": own}).status_code == 200


def test_6_foreign_names_are_not_answered(studio: Attacked) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "[::1", "a b"):
        for path in ("/", "/config", "/?lang=zh", "/gradio_api/file=a"):
            assert studio.ask("GET", path, headers={"host": host}).status_code == 421, (host, path)


def test_8_passwords_cannot_be_guessed(studio: Attacked) -> None:
    if studio.mode != "auth":
        assert studio.ask("POST", "/login", data={"username": "a", "password": "b"}).status_code == 404
        return
    tries = [{"username": LOGIN[0], "password": str(number)} for number in range(100)]
    answers = [studio.ask("POST", "/login", data=one).status_code for one in tries]
    assert answers.count(400) == 10 and answers.count(429) == 90
    assert httpx.get(f"{studio.address}/config").status_code == 401
    assert httpx.get(f"{studio.address}/metrics").status_code == 401
    assert httpx.get(f"{studio.address}/metrics", auth=LOGIN).status_code == 200


def test_9_anothers_job_is_nobodys(studio: Attacked) -> None:
    store = JobStore(Settings(home=studio.home).store_path)
    doors, _ = studio.listener("history", "ask")
    panel, _ = studio.listener("result", "ask")

    def ask(number: int, **asked: Any) -> Any:
        event = {"door": asked.pop("door", "act"), "number": 1, "asked": asked}
        return studio.call(number, [], event_data=event)

    request = find_model("demo").defaults and {"model": "demo", "prompt": f"a {CANARY} circle"}
    job = _queued(store, request)
    seen = ask(doors, door="look", search={}, shown=9, known="").text
    if studio.mode != "public":
        store.cancel(job)
        studio.told = [words for words in studio.told if not words.startswith("canary")]  # one's own prompt
        return
    assert job not in seen
    for does in ("cancel", "duplicate", "again", "star", "tag", "delete", "recipe", "log", "folder", "move"):
        ask(doors, does=does, job=job, on=True, tags="mine", before="")
    for does in ("again", "final", "delete", "undo", "export", "compare"):
        ask(panel, door=does, job=job, other=job, format="gif")
    found = store.get(job)
    assert found is not None and not found.cancel_requested and not found.favourite and not found.tags
    assert len(store.list()) == 1 and not store.is_paused()
    for does in ("pause", "cancel-all", "free"):
        ask(doors, does=does)
    assert store.get(job).status in ("queued", "running", "done") and not store.is_paused()
    store.cancel(job)


def _queued(store: JobStore, values: dict[str, Any]) -> str:
    from wan_core.schema import GenerationRequest

    return store.submit(GenerationRequest(**values))


def test_10_a_flood_leaves_memory_flat(studio: Attacked) -> None:
    process = psutil.Process(studio.process.pid)
    number, _ = studio.listener("history", "ask")

    def flood(first: int, last: int) -> int:
        for count in range(first, last):
            body = {"data": ["x" * 2000], "fn_index": 1, "session_hash": f"s{count}"}
            if studio.mode == "public":  # there is no queue to join, so sessions are all that can be filled
                studio.call(number, [], session_hash=f"s{count}")
            joined = studio.ask("POST", "/gradio_api/queue/join", json=body)
            assert (joined.status_code == 404) is (studio.mode == "public")
        return process.memory_info().rss

    before = flood(0, 205)  # gradio keeps 200 sessions, and no more
    assert flood(205, 255) - before < 15_000_000


def test_11_giants_and_drips_are_refused(studio: Attacked) -> None:
    number, _ = studio.listener("form-reset", "click")
    giant = {"data": ["x" * 30_000_000], "fn_index": number}
    assert studio.ask("POST", RUN, json=giant).status_code == 413
    for length in ("-1", "1e9", "９", "0x10", "99999999999999999999"):
        answer = _raw(studio, [f"POST {RUN} HTTP/1.1", f"content-length: {length}"], b"{}")
        assert answer[:3] in ("400", "413"), (length, answer)
    for path in (RUN, "/gradio_api/upload"):
        answer = _raw(studio, [f"POST {path} HTTP/1.1", "content-length: 5000", _KIND], b"--x\r\n", drip=True)
        assert answer[:3] == "408", (path, answer)
    name = {"files": ("n" * 300 + ".png", b"png", "image/png")}
    assert studio.ask("POST", "/gradio_api/upload", files=name).status_code < 500


_KIND = "content-type: multipart/form-data; boundary=x"


def _raw(studio: Attacked, lines: list[str], body: bytes, drip: bool = False) -> str:
    """The status line and body of the answer to a request written by hand."""
    host, port = studio.address.removeprefix("http://").split(":")
    cookies = "; ".join(f"{name}={value}" for name, value in studio.client.cookies.items())
    head = [lines[0], f"host: {host}:{port}", f"cookie: {cookies}", *lines[1:], "", ""]
    with socket.create_connection((host, int(port)), timeout=BODY_SECONDS * 8) as line:
        line.sendall("\r\n".join(head).encode() + body)
        deadline = time.monotonic() + BODY_SECONDS * 4
        line.setblocking(not drip)
        while drip and time.monotonic() < deadline:
            try:
                line.send(b"a")
                if line.recv(1, socket.MSG_PEEK):
                    break
            except BlockingIOError:
                time.sleep(0.2)
        line.settimeout(BODY_SECONDS * 8)
        text = line.recv(65536).decode("utf-8", "replace")
    assert CANARY not in text and str(studio.home) not in text
    return text.partition(" ")[2]


def test_12_uploads_have_a_room_and_no_more(studio: Attacked) -> None:
    def upload(number: int) -> int:
        file = {"files": ("a.png", random.Random(number).randbytes(1_000_000), "image/png")}
        return studio.ask("POST", "/gradio_api/upload", files=file).status_code

    for path in (studio.home / "cache").rglob("*"):
        if path.is_file():  # what the attacks before have left
            path.unlink()
    wait_for(lambda: upload(0) == 200)  # slow ones of theirs may hold room for a moment
    assert 507 in [upload(number) for number in range(1, 8)]
    held = sum(path.stat().st_size for path in (studio.home / "cache").rglob("*") if path.is_file())
    assert held <= ROOM


def test_14_programs_find_four_endpoints_and_bounds(studio: Attacked) -> None:
    if studio.mode == "public":
        assert studio.ask("GET", "/gradio_api/info").status_code == 404
        assert {one["api_visibility"] for one in studio.config()["dependencies"]} == {"private"}
        return
    info = studio.ask("GET", "/gradio_api/info").json()
    assert set(info["named_endpoints"]) == {"/generate", "/status", "/cancel", "/result"}
    tried = 0
    for name, knob in knobs().items():
        for bound, step in ((knob.low, -1), (knob.high, 1)):
            if bound is None:
                continue
            request = {"model": "demo", "prompt": "x", name: bound + step}
            answer = studio.ask("POST", "/gradio_api/run/generate", json={"data": [request, {}]})
            if answer.status_code == 200 and name == "seed":
                continue
            assert answer.status_code == 400, (name, bound + step, answer.text)
            assert answer.json()["error"].startswith(name.split(".")[0]), answer.text
            tried += 1
    assert tried > 20
    assert studio.ask("POST", "/gradio_api/run/status", json={"data": ["nobody"]}).status_code == 404


def test_15_malformed_calls_are_refused_by_name(studio: Attacked) -> None:
    number, count = studio.listener("form-reset", "click")
    good = json.dumps({"data": ["t2v"] * count, "fn_index": number, "session_hash": "a"})
    bodies = {
        "": "JSON",
        "[": "JSON",
        "null": "object",
        "[1]": "object",
        "[" * 100_000: "nested",
        '{"data": ' + "[" * 90 + "]" * 90 + "}": "nested",
        '{"data": [NaN], "fn_index": 1}': "data[0]",
        '{"data": [Infinity], "fn_index": 1}': "data[0]",
        '{"data": [1e999], "fn_index": 1}': "data[0]",
        '{"data": ["\\ud800"], "fn_index": 1}': "data[0]",
        '{"data": [{"\\udfff": 1}], "fn_index": 1}': "data[0]",
        '{"data": [' + "9" * 5000 + "]}": "",
        '{"data": [99999999999999999999], "fn_index": 1}': "data[0]",
        good.replace(f'"fn_index": {number}', '"fn_index": 99999'): "fn_index",
        good.replace(f'"fn_index": {number}', '"fn_index": -1'): "fn_index",
        good.replace(f'"fn_index": {number}', '"fn_index": "0"'): "fn_index",
        good.replace(f'"fn_index": {number}', '"fn_index": true'): "fn_index",
        good.replace(f'"fn_index": {number}', '"fn_index": 1.5'): "fn_index",
        good.replace(f'"fn_index": {number}', '"fn_index": null'): "fn_index",
        good.replace('"session_hash": "a"', '"session_hash": "../../a"'): "session_hash",
        good.replace('"session_hash": "a"', '"session_hash": 5'): "session_hash",
        good.replace('"data": [', '"data": ["more", '): "data",
        good.replace('"data": [', '"data": 5, "other": ['): "data",
        good.replace('"session_hash"', '"trigger_id": "x", "session_hash"'): "trigger_id",
    }
    for body, words in bodies.items():
        answer = studio.ask("POST", RUN, content=body, headers=JSON)
        assert 400 <= answer.status_code < 500, (body[:80], answer.status_code)
        assert words in answer.json()["error"], (body[:80], answer.text)
    if studio.mode != "public":
        for wrong in (99999, -1, "0", None):
            body = {"data": [], "fn_index": wrong, "session_hash": "a"}
            refused = studio.ask("POST", "/gradio_api/queue/join", json=body)
            assert (refused.status_code, "fn_index" in refused.json()["error"]) == (400, True)
    dice = random.Random(15)
    for _ in range(150):
        place = dice.randrange(len(good))
        broken = (
            good[:place]
            + dice.choice(['"', "}", "]", "\\", "NaN", "\\ud800", "\0", "-", "1e999"])
            + good[place:]
        )
        answer = studio.ask("POST", RUN, content=broken.encode(), headers=JSON)
        assert answer.status_code < 500, broken


def test_a_public_page_has_rules(studio: Attacked) -> None:
    ids = {part["props"].get("elem_id") for part in studio.config()["components"]}
    owned = {"settings-profile", "settings-add-folder", "models-add-folder"}
    assert owned & ids == (owned if studio.mode == "local" else set())
    assert PublicRules(has=lambda spec: True).all_waiting == 64


def test_nothing_was_told_and_nothing_left(studio: Attacked) -> None:
    """Of all requests before, of which there are at least 150 where all tests were asked for."""
    print(f"{len(studio.statuses)} requests in {studio.mode} mode")
    assert studio.told == []
    assert studio.outbound() == []
    assert studio.process.poll() is None
    answer = studio.ask("GET", "/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
