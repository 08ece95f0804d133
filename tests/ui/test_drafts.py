"""Drafts: several seeds at few steps, side by side, of which one is rendered in full."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import OpenPage, Studio
from tests.ui.fake import UNLUCKY_SEED
from tests.ui.test_page import VIDEO_PLAYS, wait_until_done, write_prompt
from ui.context import Context
from ui.making import choices, form
from ui.result import drafts
from ui.result.status import status_html
from wan_core.catalog import find_model
from wan_core.jobs.job import Job, JobStatus
from wan_core.schema import GenerationRequest, GenerationResult, ProgressEvent, Stage
from wan_core.schema.lora import LoraUse

DONE = Job("a", 1, JobStatus.DONE, GenerationRequest(prompt="x", seed=7, num_inference_steps=8), 0.0)


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, 20),
        ({"num_inference_steps": 20}, None),
        ({"num_inference_steps": 30}, None),
        ({"model": "gone"}, None),
        ({"loras": (LoraUse(file="lightx2v_T2V.safetensors"),)}, None),
        ({"num_inference_steps": 2, "loras": (LoraUse(file="lightx2v_T2V.safetensors"),)}, 4),
    ],
)
def test_a_final_has_the_steps_of_its_model(changes: dict[str, object], steps: int | None) -> None:
    draft = replace(DONE, request=DONE.request.model_copy(update=changes))
    final = drafts.final_of(draft)
    assert (final and final.num_inference_steps) == steps
    if final:
        assert final == draft.request.model_copy(update={"num_inference_steps": steps})


def test_only_what_is_done_is_rendered_in_full() -> None:
    for status in JobStatus:
        assert (drafts.final_of(replace(DONE, status=status)) is not None) == (status is JobStatus.DONE)


def test_drafts_are_four_unless_another_number_is_asked_for() -> None:
    spec = find_model("demo")
    assert choices.steps_of(spec, choices.DRAFTS) == choices.steps_for(spec)["draft"] == 8
    assert form.times({"videos": 1, "quality": "drafts"}) == 4
    assert form.times({"videos": 6, "quality": "drafts"}) == 6
    assert form.times({"videos": 1, "quality": "draft"}) == 1


def test_the_time_left_is_a_guess_until_it_is_learnt(context: Context, tmp_path: Path) -> None:
    store, request = context.store, GenerationRequest(prompt="a star", num_inference_steps=20)

    def running() -> str:
        job_id = store.submit(request)
        store.claim()
        store.report(job_id, ProgressEvent(stage=Stage.DENOISE, step=10, total=20, seconds=30.0))
        return job_id

    first = running()
    assert "3.0 s per step · 30 s left (guess)" in status_html(store.get(first), context)
    result = GenerationResult(
        video=tmp_path / "a.mp4",
        thumbnail=None,
        request=store.get(first).request,
        seconds={"denoise": 60.0, "decode": 30.0},
        peak_bytes=11_200_000_000,
    )
    store.finish(first, result)
    assert "peak memory 11.2 GB" in status_html(store.get(first), context)
    # 90 s were learnt, and hardly any has passed since the start
    assert "3.0 s per step · 90 s left<" in status_html(store.get(running()), context)


@pytest.mark.browser
def test_drafts_stand_side_by_side_and_one_is_rendered_in_full(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    page.get_by_label("Drafts to pick from · 8").check()
    expect(page.locator("#form-preflight")).to_contain_text("4 videos")
    page.locator("#form-seed input").fill(str(UNLUCKY_SEED - 1))
    write_prompt(page, "an unlucky star")
    page.locator("#form-generate").click()
    tiles = page.locator("#stage .tile")
    expect(tiles).to_have_count(4)
    expect(page.locator("#stage .tile video")).to_have_count(3, timeout=30_000)
    expect(tiles.nth(1).locator(".said")).to_contain_text("Failed: The video came out as NaN")
    page.wait_for_function(
        "() => [...document.querySelectorAll('#stage video')].every((video) => !video.paused)"
    )
    kept = page.locator("#stage .tile video").first.element_handle()

    tiles.nth(2).get_by_role("button", name="Choose the video with seed 14").click()
    expect(tiles.nth(2).locator(".pick")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#status .facts")).to_contain_text("seed 14")
    assert kept.evaluate("(video) => video.isConnected")  # nothing was drawn anew
    tiles.nth(2).get_by_role("button", name="Show large").click()
    expect(tiles.nth(0)).to_be_hidden()
    tiles.nth(2).get_by_role("button", name="Show all").click()
    expect(tiles.nth(0)).to_be_visible()

    draft = next(job for job in studio.context.store.list() if job.request.seed == 14)
    page.locator("#final", has_text="Render final · 20 steps").click()
    expect(tiles).to_have_count(0)
    wait_until_done(page)
    page.wait_for_function(VIDEO_PLAYS)
    final = studio.context.store.list(limit=1)[0]
    assert final.request == draft.request.model_copy(update={"num_inference_steps": 20})
    expect(page.locator("#final")).to_have_count(0)
