"""Two thousand bodies as nobody should send them, in every mode: each is refused, and the studio goes on."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.faults.attacked import Attacked
from tests.faults.hostile_bodies import FILE, bodies
from tests.faults.whole_app import SMALL
from tests.jobs.conftest import wait_for
from wan_core.jobs.job import JobStatus
from wan_core.jobs.store import JobStore
from wan_core.schema import Settings

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

_LORA = {"file": "a.safetensors", "strength": 1.0}
_MAKE = {**SMALL, "prompt": "a red circle", "image": None, "loras": [_LORA]}
_JOB = {"data": ["0123456789abcdef"]}
_NAMED = {"generate": {"data": [_MAKE, {"image": FILE}]}, "status": _JOB, "cancel": _JOB, "result": _JOB}


def sound_calls(studio: Attacked) -> list[tuple[str, dict[str, Any]]]:
    """(address, body) of a call of every listener and every endpoint, the latter as often as the former."""
    config = studio.config()
    first = {part["id"]: part["props"].get("value") for part in config["components"]}
    calls = [
        (
            "/gradio_api/run/predict",
            {"data": [first.get(i) for i in one["inputs"]], "fn_index": one["id"], "session_hash": "a"},
        )
        for one in config["dependencies"]
    ]
    if studio.mode == "public":
        return calls
    named = [
        (f"/gradio_api/{way}/{name}", body) for way in ("run", "api", "call") for name, body in _NAMED.items()
    ]
    named += [
        ("/gradio_api/call/v2/generate", {"request": _MAKE, "files": {}}),
        ("/gradio_api/queue/join", calls[0][1]),
        ("/gradio_api/cancel", {"event_id": "a", "session_hash": "a", "fn_index": 0}),
        ("/gradio_api/reset", {"event_id": "a"}),
    ]
    return calls + named * (len(calls) // len(named))


def test_hostile_bodies_are_refused_and_the_studio_goes_on(studio: Attacked, thorough: bool) -> None:
    store = JobStore(Settings(home=studio.home).store_path)
    store.pause()
    for job in store.list():  # the attacks before have put a canary into a prompt
        store.cancel(job.id)
        store.delete(job.id)
    seen, calls = Counter[int](), sound_calls(studio)
    count = 2000 if thorough else 300
    for body in bodies(calls, count, seed=15):
        kind = {"content-type": body.kind} if body.kind else {}
        answer = studio.ask("POST", body.path, content=body.content, headers=kind)
        assert answer.status_code < 500, (body, answer.text)
        if answer.status_code >= 400:
            assert answer.json()["error"] and answer.json()["id"], (body, answer.text)
        seen[answer.status_code // 100] += 1
    assert seen.total() == count and seen[4] > 0.8 * count, seen
    assert (studio.told, studio.process.poll()) == ([], None)
    for job in store.queue():
        store.cancel(job.id)
    store.pause(False)
    assert studio.ask("GET", "/health").json() == {"status": "ok"}
    if studio.mode != "public":
        good = studio.ask("POST", "/gradio_api/run/generate", json={"data": [{**SMALL, "prompt": "x"}, {}]})
        job_id = good.json()["data"][0]
        wait_for(lambda: store.get(job_id).status is JobStatus.DONE, 120)
    store.close()


def test_the_same_seed_gives_the_same_bodies() -> None:
    calls = [("/a", {"data": [1, {"b": "c"}], "session_hash": "a"})]
    assert list(bodies(calls, 200, 1)) == list(bodies(calls, 200, 1)) != list(bodies(calls, 200, 2))
    assert len({body.content for body in bodies(calls, 2000, 1)}) > 1000
