"""Whoever asked for a video may be gone before it is made, or before the answer: the job is the studio's."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.jobs.conftest import wait_for
from tests.ui.conftest import Studio, open_studio
from wan_core.jobs.job import JobStatus

pytestmark = pytest.mark.faults

ASKED = {"num_frames": 5, "num_inference_steps": 2}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    studio = open_studio(tmp_path_factory.mktemp("studio"))
    yield studio
    studio.close()


def post(studio: Studio, body: bytes, length: int) -> None:
    """Send a request and be gone."""
    parts = urlsplit(studio.address)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        head = f"POST /gradio_api/run/generate HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        more = f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall((head + more).encode() + body)


def call(studio: Studio, name: str, *data: object) -> object:
    answer = httpx.post(f"{studio.address}gradio_api/run/{name}", json={"data": list(data)}, timeout=60)
    return answer.raise_for_status().json()["data"][0]


def test_a_job_whose_asker_is_gone_before_the_answer_is_made(studio: Studio) -> None:
    body = json.dumps({"data": [{"prompt": "asked and gone", **ASKED}, {}]}).encode()
    post(studio, body, len(body))
    store = studio.context.store
    (job,) = wait_for(lambda: [job for job in store.list() if job.request.prompt == "asked and gone"])
    wait_for(lambda: store.get(job.id).status is JobStatus.DONE)
    assert call(studio, "result", job.id)["request"]["prompt"] == "asked and gone", "anybody with the id"


def test_requests_that_break_off_in_the_middle_cost_nothing(studio: Studio) -> None:
    before = len(studio.context.store.list())
    for length in (1, 100, 1000):
        post(studio, b'{"data": [{"prompt": "half', length)
    job = call(studio, "generate", {"prompt": "whole", **ASKED}, {})
    wait_for(lambda: call(studio, "status", job)["status"] == "done")
    assert len(studio.context.store.list()) == before + 1


def test_closed_streams_of_a_page_leave_the_job_running(studio: Studio) -> None:
    job = call(studio, "generate", {"prompt": "slowly", **ASKED}, {})
    for number in range(5):
        session = {"session_hash": f"gone{number}"}
        with (
            httpx.Client(base_url=studio.address, timeout=5) as client,
            client.stream("GET", "/gradio_api/queue/data", params=session) as stream,
        ):
            assert stream.status_code == 200
    wait_for(lambda: call(studio, "status", job)["status"] == "done")
