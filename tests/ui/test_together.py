"""What belongs together: videos stopped together, choices kept together, lines counted; and pauses."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import OpenPage, Studio
from tests.ui.test_page import write_prompt
from ui.context import Context
from ui.making.making_jobs import together
from ui.result.status import status_html
from ui.strings import CHINESE
from wan_core.jobs.job import JobStatus
from wan_core.schema import GenerationRequest


def test_stop_is_for_what_was_asked_for_together_and_has_not_ended(context: Context) -> None:
    store = context.store
    alone = store.submit(GenerationRequest(prompt="another"))
    first, second, third = (store.submit(GenerationRequest(prompt="a star", seed=seed)) for seed in (1, 2, 3))
    store.cancel(second)
    assert [job.id for job in together(store, store.get(first))] == [first, third]
    assert [job.id for job in together(store, store.get(alone))] == [alone]
    assert together(store, None) == []


def test_the_panel_says_that_the_queue_is_paused(context: Context) -> None:
    store = context.store
    running, waiting = (store.submit(GenerationRequest(prompt=prompt)) for prompt in ("one", "two"))
    store.claim()
    store.pause()
    assert "Paused: the running video waits" in status_html(store.get(running), context)
    told = status_html(store.get(waiting), context)
    assert ">Paused</p>" in told and "Paused: nothing begins until you resume." in told
    store.pause(False)
    assert "Paused" not in status_html(store.get(running), context) + status_html(store.get(waiting), context)
    assert CHINESE.history.is_paused == "已暂停"


def choose_drafts(page: Page) -> None:
    page.get_by_label("Drafts to pick from · 8").check()
    expect(page.locator("#form-preflight")).to_contain_text("4 videos")


@pytest.mark.browser
def test_stop_ends_all_drafts_and_the_choice_of_drafts_survives_a_reload(
    studio: Studio, open_page: OpenPage
) -> None:
    page = open_page(studio.address)
    choose_drafts(page)
    write_prompt(page, "a leisurely star")
    page.locator("#form-generate").click()
    stop = page.locator("#form-stop")
    expect(stop).to_have_text("Stop all 4", timeout=20_000)
    stop.click()
    expect(page.locator('#stage .tile[data-status="cancelled"]')).to_have_count(4, timeout=20_000)
    assert {job.status for job in studio.context.store.list()} == {JobStatus.CANCELLED}
    expect(stop).to_have_text("Stop")
    page.reload()
    expect(page.locator("#form-prompt textarea")).to_have_value("a leisurely star", timeout=30_000)
    expect(page.get_by_label("Drafts to pick from · 8")).to_be_checked()
    expect(page.locator("#form-preflight")).to_contain_text("4 videos", timeout=20_000)


@pytest.mark.browser
def test_the_line_above_generate_counts_prompt_lines_while_they_are_typed(
    studio: Studio, open_page: OpenPage
) -> None:
    page = open_page(studio.address)
    expect(page.locator("#form-generate")).to_be_enabled(timeout=20_000)
    page.locator("#form-sampling_fold > button").click()
    page.locator("#form-lines input").check()
    prompt = page.locator("#form-prompt textarea")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "gradio_api" in request.url else None)
    prompt.press_sequentially("a red circle\na blue star\n\na green square", delay=20)
    expect(page.locator("#form-preflight")).to_contain_text("3 videos", timeout=20_000)
    assert len(asked) < 20  # of 41 keys
