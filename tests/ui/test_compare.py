"""Two results side by side: what differs, and that both play together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import OpenPage, Studio
from tests.ui.test_page import make
from ui.context import Context
from ui.result import comparing
from ui.result.panel_doors import PanelDoors
from ui.strings import ENGLISH
from wan_core.jobs.job import Job, JobStatus
from wan_core.schema import GenerationRequest, GenerationResult
from wan_core.schema.lora import LoraUse

TIMES = "() => [...document.querySelectorAll('.compare video')].map((video) => video.currentTime)"
PAUSED = "() => [...document.querySelectorAll('.compare video')].map((video) => video.paused)"
BOTH_READY = """() => {
  const videos = [...document.querySelectorAll('.compare video')];
  return videos.length === 2 && videos.every((video) => video.readyState >= 2 && video.videoWidth);
}"""


def done(job_id: str, sequence: int, video: Path, **fields: object) -> Job:
    request = GenerationRequest(**{"prompt": "a star", "seed": 1, **fields})
    result = GenerationResult(
        video=video, thumbnail=None, request=request, seconds={"denoise": 4.0 * sequence}, peak_bytes=10**9
    )
    return Job(job_id, sequence, JobStatus.DONE, request, 0.0, result=result)


def test_only_what_differs_is_listed_in_the_words_of_the_form(tmp_path: Path) -> None:
    one = done("a", 1, tmp_path / "a.mp4", num_inference_steps=8)
    worn = (LoraUse(file="snow.safetensors", strength=0.5),)
    other = done("b", 2, tmp_path / "b.mp4", num_inference_steps=20, loras=worn, sidecar=True)
    assert comparing.differences(one, other, ENGLISH) == [
        ("LoRA", "–", "snow.safetensors (0.5)"),
        ("Steps", "8", "20"),
        ("Settings beside the file", "no", "yes"),
        ("Time taken", "4 s", "8 s"),
    ]
    assert comparing.differences(one, one, ENGLISH) == []


def test_the_other_side_is_what_is_most_like_the_first(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        (tmp_path / f"{name}.mp4").write_bytes(b"x")
    final = done("a", 3, tmp_path / "a.mp4", num_inference_steps=20)
    draft = done("b", 1, tmp_path / "b.mp4", num_inference_steps=8)
    stranger = done("c", 2, tmp_path / "c.mp4", prompt="a whale", num_inference_steps=8)
    jobs = {job.id: job for job in (final, stranger, draft)}
    monkeypatch.setattr(context.store, "list", lambda limit, statuses: list(jobs.values()))
    monkeypatch.setattr(context.store, "get", jobs.get)
    seen = comparing.compare("a", "", context)
    assert [side["job"] for side in seen["sides"]] == ["a", "b"]
    assert [job_id for job_id, _ in seen["offered"]] == ["a", "c", "b"]
    doors = PanelDoors(context)
    assert doors.open("compare", {"job": "gone"}) == {"error": ENGLISH.panel.nothing_else}
    jobs.pop("b"), jobs.pop("c")
    assert doors.open("compare", {"job": "a"}) == {"error": ENGLISH.panel.nothing_else}


def test_words_of_others_are_only_words(tmp_path: Path) -> None:
    hostile = done("a", 1, tmp_path / "a.mp4", prompt="<img src=x onerror=alert(1)>")
    plain = replace(done("b", 1, tmp_path / "b.mp4"), result=hostile.result.model_copy())
    plain = replace(plain, result=plain.result.model_copy(update={"request": GenerationRequest(seed=1)}))
    rows = comparing.differences(hostile, plain, ENGLISH)
    assert "<img" not in comparing._table(rows, ENGLISH)


@pytest.mark.browser
def test_two_results_play_together(studio: Studio, open_page: OpenPage) -> None:
    short = make(studio, prompt="a short star", seed=3, num_frames=9)
    long = make(studio, prompt="a long star", seed=3, num_frames=25)
    page = open_page(studio.address)
    expect(page.locator("#status .prompt")).to_have_text("a long star")
    page.locator("#compare").click()
    dialog = page.locator("dialog.compare")
    expect(dialog).to_be_visible()
    page.wait_for_function(BOTH_READY)
    expect(dialog.locator("tbody th")).to_have_text(["Prompt", "Frames"])
    expect(dialog.locator("td")).to_have_text(["a long star", "a short star", "25", "9"])
    page.wait_for_function("() => document.querySelector('.compare video').currentTime > 1.3")
    leading, following = page.evaluate(TIMES)
    assert leading > 1.2 and 0.9 < following < 1.13  # the shorter one stands on its last frame
    page.wait_for_function(  # and both begin anew
        "() => { const [a, b] = [...document.querySelectorAll('.compare video')].map((v) => v.currentTime);"
        " return a > 0.1 && a < 0.9 && Math.abs(a - b) < 0.2; }"
    )
    dialog.get_by_role("button", name="Pause").click()
    assert page.evaluate(PAUSED) == [True, True]
    slider = dialog.get_by_role("slider", name="Position")
    slider.fill("0.5")
    page.wait_for_function(f"() => ({TIMES})().every((time) => Math.abs(time - 0.5) < 0.03)")
    dialog.get_by_role("button", name="Play").focus()
    page.keyboard.press("ArrowRight")  # a frame further
    page.wait_for_function(f"() => ({TIMES})().every((time) => Math.abs(time - 0.625) < 0.03)")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("#compare")).to_be_focused()

    page.get_by_role("tab", name="Queue & History").click()
    for job in (short, long):
        card = page.locator("#history .card", has_text=job.request.prompt)
        card.locator("summary").click()
        card.get_by_role("button", name="Compare", exact=True).click()
        if job is short:
            expect(page.locator("#result .picking")).to_be_visible()
    expect(dialog).to_be_visible()
    expect(dialog.locator("td").first).to_have_text("a short star")
    expect(page.locator("#result .picking")).to_be_hidden()


@pytest.mark.browser
def test_frames_in_a_zip_and_a_picture_can_be_compared(studio: Studio, open_page: OpenPage) -> None:
    make(studio, prompt="a still star", task="t2i", num_frames=1)
    make(studio, prompt="frames of a star", video_format="png")
    page = open_page(studio.address)
    expect(page.locator("#status .prompt")).to_have_text("frames of a star")
    open_compare(page)
    page.wait_for_function("() => document.querySelector('.compare video')?.videoWidth === 64")
    choose = page.get_by_role("combobox", name="Right")
    choose.select_option(
        label=next(words for words in choose.inner_text().splitlines() if "a still" in words)
    )
    page.wait_for_function("() => document.querySelector('.compare img')?.naturalWidth === 64")
    expect(page.locator(".compare .transport")).to_be_visible()


def open_compare(page: Page) -> None:
    page.locator("#compare").click()
    expect(page.locator("dialog.compare")).to_be_visible()
