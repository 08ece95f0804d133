"""``python app.py`` as people run it: the real worker, the demo model, a browser. Nothing is pretended."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.ui.conftest import OpenPage
from tests.ui.test_page import VIDEO_PLAYS, generate, wait_until_done
from wan_core.jobs.job import Job, JobStatus
from wan_core.jobs.store import JobStore
from wan_core.media.metadata import read_request
from wan_core.schema import GenerationRequest, Settings

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60_000  # milliseconds; a worker that starts imports torch, on whatever machine this is


class App:
    """A running ``python app.py``."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}/"
        self.store = JobStore(Settings(home=home).store_path)
        started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "app.py", "--home", str(home), "--port", str(port)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.first_line = self.process.stdout.readline()
        assert httpx.get(self.address, timeout=10).status_code == 200
        self.seconds_to_serve = time.monotonic() - started

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)

    def newest(self) -> Job:
        return self.store.list(limit=1)[0]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def app(home: Path) -> Iterator[App]:
    app = App(home)
    yield app
    if app.process.poll() is None:
        app.stop()


def test_it_serves_within_seconds(app: App) -> None:
    assert app.first_line == f"Wan Studio is ready at {app.address}\n"
    assert app.seconds_to_serve < 15, app.seconds_to_serve  # docs/reliability.md; another test runs beside it


def test_a_prompt_becomes_a_video_that_holds_its_request(app: App, open_page: OpenPage) -> None:
    page = open_page(app.address)
    page.locator("#form-examples button").first.click()
    expect(page.locator("#form-prompt textarea")).not_to_have_value("")
    page.locator("#form-prompt textarea").press("Control+Enter")
    page.wait_for_function(VIDEO_PLAYS, timeout=PATIENCE)
    job = app.newest()
    assert job.status is JobStatus.DONE
    settled = job.request.model_copy(update={"match_input": False})  # there is no input to match
    assert read_request(job.result.video) == job.result.request == settled
    expect(page.locator("#status .facts")).to_contain_text(f"seed {job.request.seed}")
    expect(page.locator(".chip[data-state]")).to_have_text("Ready")
    expect(page.locator(".memory")).to_have_text(re.compile(r"^\d.* of \d.*"))


def test_a_reload_finds_the_job_with_its_preview_and_stop_ends_it(app: App, open_page: OpenPage) -> None:
    page = open_page(app.address)
    prompt = "a green star bouncing at night"
    app.store.submit(GenerationRequest(prompt=prompt, num_frames=25, num_inference_steps=200))
    page.reload()
    expect(page.locator("#status .prompt")).to_have_text(prompt)
    expect(page.locator("#status .count")).to_have_text(re.compile(r"\d+ of 200"), timeout=PATIENCE)
    page.wait_for_function("document.querySelector('#stage img.preview')?.naturalWidth > 0", timeout=PATIENCE)
    page.locator("#form-stop").click()
    wait_until_done(page, "cancelled")
    job = app.newest()
    assert (job.status, job.total) == (JobStatus.CANCELLED, 200)


def test_a_bad_input_makes_no_job(app: App, open_page: OpenPage) -> None:
    page, before = open_page(app.address), app.newest().id
    generate(page, "   ")
    expect(page.locator("#form-notice .alert")).to_have_text(
        "Prompt: the prompt is empty. Describe what should be seen."
    )
    assert app.newest().id == before


def test_unload_frees_the_worker_and_the_next_job_brings_it_back(app: App, open_page: OpenPage) -> None:
    page = open_page(app.address)
    page.locator("#unload").click()
    expect(page.locator(".chip[data-state]")).to_have_text("Unloaded", timeout=PATIENCE)
    page.get_by_label("Draft · 8").check()
    generate(page, "a white square moving up on grey")
    page.wait_for_function(VIDEO_PLAYS, timeout=PATIENCE)
    assert app.newest().request.num_inference_steps == 8


def test_history_is_there_after_a_restart(app: App, home: Path, open_page: OpenPage) -> None:
    jobs = [job.id for job in app.store.list()]
    assert app.stop() == 0
    again = App(home)
    try:
        page = open_page(again.address)
        page.get_by_role("tab", name="Queue & History").click()
        expect(page.locator("#history .card")).to_have_count(len(jobs))
        page.wait_for_function("document.querySelector('#history .card.done img').naturalWidth === 64")
        page.locator("#history .card.done button").first.click()
        page.wait_for_function(VIDEO_PLAYS)
    finally:
        assert again.stop() == 0
