"""A page that is open to everybody, in Chromium: all of it works, and each browser sees its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import OpenPage, Studio, make_context
from tests.ui.test_recipe_bar import PICTURE
from ui.serving.server import Access, launch
from ui.studio import build
from wan_core.jobs.public_rules import PublicRules
from wan_core.jobs.visitors import SharedExecutor

pytestmark = [pytest.mark.browser, pytest.mark.faults]


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    context = make_context(tmp_path)
    context.executor.start()
    shared = SharedExecutor(context.executor, PublicRules(lambda spec: spec.id.startswith("demo")))
    context = replace(context, executor=shared, owned=False, reach="everybody")
    blocks = build(context)
    address = launch(blocks, context.settings, Access(public=True), store=shared.everything)
    studio = Studio(address, context, blocks)
    yield studio
    studio.close()


def test_a_visitor_uploads_makes_reopens_and_nobody_else_sees_it(public: Studio, open_page: OpenPage) -> None:
    page = open_page(public.address)
    failed: list[str] = []
    page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
    expect(page.locator("#header-line .banner")).to_contain_text("A public page")
    expect(page.get_by_role("tab", name="Settings")).to_have_count(0)
    page.get_by_role("tab", name="Image to Video").click()
    page.set_input_files("#i2v-image input[type=file]", PICTURE)
    expect(page.locator("#i2v-image img")).to_have_js_property("naturalWidth", 64, timeout=30_000)
    page.fill("#form-prompt textarea", "a red circle moving right")
    page.click("#form-generate")
    page.wait_for_selector('#status [data-status="done"]', timeout=60_000)
    video = page.locator("#stage video")
    expect(video).to_have_js_property("videoWidth", 64, timeout=30_000)
    address = video.evaluate("video => video.currentSrc")
    expect(page.locator("#delete")).to_be_hidden()
    made = next((public.home / "outputs").glob("*.mp4"))
    page.locator(".recipes input[type=file]").set_input_files(made)
    expect(page.locator("#form-notice")).to_contain_text(f"settings of {made.name}", timeout=30_000)
    page.locator("#send-i2v").click()
    expect(page.locator("#i2v-image img")).to_be_visible(timeout=30_000)
    assert failed == []

    other = open_page(public.address)
    expect(other.locator("#stage video")).to_have_count(0)
    other.get_by_role("tab", name="Queue & History").click()
    expect(other.locator("#history .nothing.past")).to_be_visible(timeout=30_000)
    assert other.locator("#history .card").count() == 0
    assert other.request.get(address).status == 403
    assert page.request.get(address).status == 200
    assert str(public.home) not in other.content() + page.content()
