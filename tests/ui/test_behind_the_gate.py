"""In Chromium, behind a login and on a public page: a closed tab loses nothing, and words stay words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ui.conftest import Studio, make_context
from tests.ui.test_markup import HOSTILE, calm
from ui.serving.server import Access, launch
from ui.studio import build
from wan_core.jobs.job import JobStatus
from wan_core.jobs.public_rules import PublicRules
from wan_core.jobs.visitors import SharedExecutor

pytestmark = [pytest.mark.browser, pytest.mark.faults]

LOGIN = ("ann", "a-long-password")


@pytest.fixture(params=["auth", "public"])
def studio(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Studio]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    context = make_context(tmp_path)
    context.executor.start()
    everything, access = context.store, Access(login=LOGIN)
    if request.param == "public":
        shared = SharedExecutor(context.executor, PublicRules(lambda spec: spec.id.startswith("demo")))
        context = replace(context, executor=shared, owned=False, reach="everybody")
        everything, access = shared.everything, Access(public=True)
    blocks = build(context)
    studio = Studio(launch(blocks, context.settings, access, store=everything), context, blocks)
    yield studio
    studio.close()


def enter(page: Page, address: str) -> None:
    """Open the page, and log in where it asks for that."""
    page.goto(address)
    page.locator(".preflight .facts, input[type=password]").first.wait_for(timeout=30_000)
    if page.locator("input[type=password]").count():
        name, password = LOGIN
        page.locator("input:not([type=password])").first.fill(name)
        page.locator("input[type=password]").fill(password)
        page.get_by_role("button", name="Login").click()
        page.wait_for_selector(".preflight .facts", timeout=30_000)


def test_a_closed_tab_loses_no_job_and_markup_stays_text(studio: Studio, browser: Browser) -> None:
    person = browser.new_context()
    page = person.new_page()
    enter(page, studio.address)
    page.fill("#form-prompt textarea", f"a leisurely star {HOSTILE}")
    page.click("#form-generate")
    page.wait_for_selector('#status [data-status="running"]', timeout=30_000)
    page.close()

    again = person.new_page()
    enter(again, studio.address)
    again.wait_for_selector('#status [data-status="done"]', timeout=60_000)
    expect(again.locator("#status .prompt")).to_contain_text(HOSTILE)
    again.get_by_role("tab", name="Queue & History").click()
    expect(again.locator("#history .card")).to_contain_text(HOSTILE, timeout=30_000)
    assert calm(again)
    person.close()
    store = getattr(studio.context.executor, "everything", studio.context.store)
    assert [job.status for job in store.list()] == [JobStatus.DONE]
