"""What a person does with the page, in Chromium, with a drawn engine behind it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import OpenPage, Studio, open_studio
from tests.ui.fake import FAILING_PROMPT
from wan_core.jobs.job import Job, JobStatus
from wan_core.schema import GenerationRequest, StoreError

pytestmark = pytest.mark.browser

VIDEO_PLAYS = """() => {
  const video = document.querySelector('#stage video');
  return video && video.readyState >= 2 && video.videoWidth > 0 && !video.paused && video.loop;
}"""


def write_prompt(page: Page, prompt: str) -> None:
    page.locator("#form-prompt textarea").fill(prompt)


def generate(page: Page, prompt: str) -> None:
    write_prompt(page, prompt)
    page.locator("#form-generate").click()


def choose_model(page: Page, title: str) -> None:
    page.locator("#form-model input").click()
    page.get_by_role("option", name=title, exact=True).click()


def wait_until_done(page: Page, status: str = "done") -> None:
    page.wait_for_selector(f'#status [data-status="{status}"]')


def wait_until_idle(studio: Studio, page: Page) -> None:
    for job in studio.context.store.queue():
        studio.context.executor.cancel(job.id)
    expect(page.locator(".chip.queue")).to_have_text("Queue empty")


def test_an_example_becomes_a_playing_video_with_its_seed(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    page.locator("#form-examples button", has_text="a red circle").click()
    prompt = page.locator("#form-prompt textarea")
    expect(prompt).to_have_value("a red circle moving right in the blue sky")
    prompt.fill("a red circle slowly moving right")
    prompt.press("Control+Enter")
    page.wait_for_selector("#stage img.preview")
    page.wait_for_function("document.querySelector('#stage img.preview')?.naturalWidth > 0")
    expect(page.locator("#status .count")).to_have_text(re.compile(r"\d+ of 20"))
    expect(page.locator("#status .pace")).to_have_text(re.compile(r"0\.2\d s per step · \d s left"))
    expect(page.locator(".chip[data-state]")).to_have_text("Generating")
    wait_until_done(page)
    page.wait_for_function(VIDEO_PLAYS)
    expect(page.locator("#form-preflight")).to_contain_text("64×64 · 2.1 s · ≈")
    seed = studio.context.store.list(limit=1)[0].result.request.seed
    expect(page.locator("#status .facts")).to_contain_text(f"seed {seed}")
    page.locator("#status button[data-seed]").click()
    expect(page.locator("#form-seed input")).to_have_value(str(seed))
    page.locator("#form-dice").click()
    expect(page.locator("#form-seed input")).to_have_value("-1")


def test_an_idle_page_asks_for_nothing(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    page.wait_for_timeout(1500)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3000)
    assert [url for url in asked if "heartbeat" not in url] == []


def test_a_reload_and_another_tab_find_the_running_job(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    generate(page, "a blue star leisurely growing")
    wait_until_done(page, "running")
    page.reload()
    other = open_page(studio.address)
    for tab in (page, other):
        expect(tab.locator("#status .prompt")).to_have_text("a blue star leisurely growing")
        expect(tab.locator("#status .count")).to_have_text(re.compile(r"\d+ of 20"))
    for tab in (page, other):
        wait_until_done(tab)
        tab.wait_for_function(VIDEO_PLAYS)
    assert studio.context.store.counts()[JobStatus.RUNNING] == 0


def test_jobs_queue_up_stop_and_leave_the_queue(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    generate(page, "first, endlessly")
    wait_until_done(page, "running")
    generate(page, "second, endlessly")
    expect(page.locator("#form-notice")).to_have_text("Added to the queue, 1 before it.")
    generate(page, "third, endlessly")
    expect(page.locator(".chip.queue")).to_have_text("1 running · 2 waiting")
    expect(page.locator("#status .prompt")).to_have_text("first, endlessly")
    page.get_by_role("tab", name="Queue & History").click()
    expect(page.locator("#history .row .prompt")).to_have_text(
        ["first, endlessly", "second, endlessly", "third, endlessly"]
    )
    page.locator("#history .row", has_text="second").locator(".cancel").click()
    expect(page.locator("#history .row")).to_have_count(2)
    page.locator("#history .row", has_text="third").locator("button").first.click()
    expect(page.locator("#status .phase")).to_have_text("In the queue, 1 before it")
    page.get_by_role("tab", name="Text to Video").click()
    page.locator("#form-stop").click()
    expect(page.locator("#status .phase")).to_have_text("Stopped before it was finished")
    expect(page.locator(".chip.queue")).to_have_text("1 running")
    wait_until_idle(studio, page)
    stopped = studio.context.store.list(limit=3)
    assert [job.status for job in stopped] == [JobStatus.CANCELLED] * 3


def test_stop_ends_the_running_job_within_a_step(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    generate(page, "a white square endlessly bouncing")
    expect(page.locator("#status .count")).to_have_text(re.compile(r"\d+ of 20"))
    page.locator("#form-stop").click()
    wait_until_done(page, "cancelled")
    job = studio.context.store.list(limit=1)[0]
    assert job.step < job.total
    expect(page.locator("#form-stop")).to_be_disabled()
    expect(page.locator("#download")).to_be_disabled()


@pytest.mark.parametrize(
    ("prompt", "seed", "complaint"),
    [
        ("", "-1", "Prompt: the prompt is empty. Describe what should be seen."),
        ("a star", "-7", "Seed: '-7' is refused. Input should be greater than or equal to -1."),
    ],
)
def test_bad_input_is_one_sentence_beside_the_button(
    studio: Studio, open_page: OpenPage, prompt: str, seed: str, complaint: str
) -> None:
    page = open_page(studio.address)
    before = sum(studio.context.store.counts().values())
    page.locator("#form-seed input").fill(seed)
    generate(page, prompt)
    expect(page.locator("#form-notice .alert")).to_have_text(complaint)
    assert sum(studio.context.store.counts().values()) == before
    page.locator("#form-prompt textarea").press_sequentially("a")
    expect(page.locator("#form-notice .alert")).to_have_count(0)


def test_a_failure_is_said_in_the_panel(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    generate(page, FAILING_PROMPT)
    wait_until_done(page, "failed")
    expect(page.locator("#status .alert")).to_have_text(
        "This video failed. The video came out as NaN; try another seed."
    )


def test_hostile_words_are_only_words(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    words = "<img src=x onerror=window.harmed=1>\"'{{7*7}}${1+1}</textarea><script>harmed=1</script>"
    generate(page, words)
    expect(page.locator("#status .prompt")).to_have_text(words)
    wait_until_done(page)
    page.get_by_role("tab", name="Queue & History").click()
    expect(page.locator("#history .card .prompt").first).to_have_text(words)
    assert page.evaluate("window.harmed === undefined")


def test_another_model_brings_its_own_form(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    expect(page.locator("#form-world")).to_be_visible()
    expect(page.locator("#form-resolution")).to_be_hidden()
    page.locator("#form-model input").click()
    page.get_by_role("option", name="Wan2.1 T2V 14B", exact=True).click()
    expect(page.locator("#form-world")).to_be_hidden()
    expect(page.locator("#form-quality")).to_contain_text("Draft · 20")
    expect(page.locator("#form-preflight")).to_contain_text("832×480 · 5.1 s")
    expect(page.locator("#form-preflight")).to_contain_text("69.0 GB to download")
    page.get_by_label("720p").check()
    page.get_by_label("9:16").check()
    expect(page.locator("#form-preflight")).to_contain_text("720×1280 · 5.1 s")
    page.get_by_label("Draft · 20").check()
    page.locator("#form-sampling_fold > button").click()
    expect(page.locator("#form-num_inference_steps input[type=number]")).to_have_value("20")


def test_history_outlives_the_studio_and_gives_settings_back(tmp_path: Path, open_page: OpenPage) -> None:
    studio = open_studio(tmp_path)
    page = open_page(studio.address)
    page.get_by_label("Draft · 8").check()
    generate(page, "a purple triangle")
    wait_until_done(page)
    studio.close()

    studio = open_studio(tmp_path)
    page = open_page(studio.address)
    page.get_by_role("tab", name="Queue & History").click()
    card = page.locator("#history .card")
    expect(card.locator(".prompt")).to_have_text("a purple triangle")
    page.wait_for_function("document.querySelector('#history .card img').naturalWidth === 64")
    card.locator(".open").click()
    page.wait_for_function(VIDEO_PLAYS)
    page.locator("#reuse").click()
    page.get_by_role("tab", name="Text to Video").click()
    expect(page.locator("#form-prompt textarea")).to_have_value("a purple triangle")
    expect(page.get_by_label("Draft · 8")).to_be_checked()
    job = studio.context.store.list()[0]
    expect(page.locator("#form-seed input")).to_have_value(str(job.request.seed))
    with page.expect_download() as download:
        page.locator("#download").click()
        page.locator("#download-file").click()
    assert Path(download.value.path()).read_bytes() == job.result.video.read_bytes()

    page.locator("#delete").click()
    expect(page.locator("#stage .empty")).to_be_visible()
    assert studio.context.store.get(job.id) is None
    studio.close()


def test_a_new_page_starts_from_the_settings_used_last(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    page.get_by_label("Balanced · 12").check()
    page.locator("#form-seed input").fill("77")
    generate(page, "a white star")
    expect(page.locator("#status .prompt")).to_have_text("a white star")
    wait_until_done(page)
    page.reload()
    expect(page.locator("#form-prompt textarea")).to_have_value("a white star")
    expect(page.get_by_label("Balanced · 12")).to_be_checked()
    expect(page.locator("#form-seed input")).to_have_value("77")


def test_a_phone_in_the_dark(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address, viewport={"width": 390, "height": 844}, color_scheme="dark")
    for tab in ("Queue & History", "Text to Video"):
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate("document.documentElement.scrollWidth") == 390
    red, green, blue = re.findall(
        r"\d+", page.evaluate("getComputedStyle(document.querySelector('gradio-app')).backgroundColor")
    )[:3]
    assert max(int(red), int(green), int(blue)) < 40


def test_at_most_ten_controls_meet_the_eye(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    choose_model(page, "Wan2.1 T2V 14B")
    expect(page.locator("#form-resolution")).to_be_visible()
    visible = page.locator("#inputs .field:visible, .go button:visible, .seed-row button:visible")
    assert visible.count() == 10


def test_a_model_asked_for_at_the_start_wins_over_the_last_one(tmp_path: Path, open_page: OpenPage) -> None:
    studio = open_studio(tmp_path, model="wan2.1-t2v-1.3b")
    page = open_page(studio.address)
    expect(page.locator("#form-model input")).to_have_value("Wan2.1 T2V 1.3B")
    expect(page.locator("#form-preflight")).to_contain_text("832×480")
    studio.close()


def make(studio: Studio, **fields: object) -> Job:
    """A video made elsewhere: the page that is open does not know of it."""
    store = studio.context.store
    job_id = studio.context.executor.submit(GenerationRequest(**fields))
    deadline = time.monotonic() + 15
    while not store.get(job_id).status.is_final and time.monotonic() < deadline:
        time.sleep(0.05)
    return store.get(job_id)


def test_delete_removes_the_video_that_is_shown(studio: Studio, open_page: OpenPage) -> None:
    shown = make(studio, prompt="a star that is shown")
    page = open_page(studio.address)
    expect(page.locator("#status .prompt")).to_have_text("a star that is shown")
    other = make(studio, prompt="a star made elsewhere")
    page.locator("#delete").click()
    expect(page.locator("#status .prompt")).to_have_text("a star made elsewhere")
    assert studio.context.store.get(shown.id) is None
    assert studio.context.store.get(other.id) is not None
    page.locator("#result .undo").get_by_role("button", name="Undo").click()
    expect(page.locator("#status .prompt")).to_have_text("a star that is shown")
    page.wait_for_function(VIDEO_PLAYS)
    assert studio.context.store.get(shown.id) is not None


def test_reuse_gives_back_the_video_that_is_shown(studio: Studio, open_page: OpenPage) -> None:
    make(studio, prompt="a star to be reused", seed=4)
    page = open_page(studio.address)
    make(studio, prompt="a star made elsewhere", seed=5)
    page.locator("#reuse").click()
    expect(page.locator("#form-prompt textarea")).to_have_value("a star to be reused")
    expect(page.locator("#form-seed input")).to_have_value("4")


def test_stop_is_for_the_job_that_the_page_has_seen(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    generate(page, "slowly, to be stopped")
    wait_until_done(page, "running")
    first = studio.context.store.queue()[0].id
    page.route("**/gradio_api/**", lambda route: route.abort())  # the page learns nothing any more
    studio.context.executor.cancel(first)
    later = studio.context.executor.submit(GenerationRequest(prompt="a later one, endlessly"))
    deadline = time.monotonic() + 10
    while studio.context.store.get(later).status is not JobStatus.RUNNING and time.monotonic() < deadline:
        time.sleep(0.05)
    assert page.locator("#stoppable textarea, #stoppable input").first.input_value() == first
    studio.context.executor.cancel(later)


def test_settings_beyond_the_sliders_come_back_whole(studio: Studio, open_page: OpenPage) -> None:
    extreme = {"num_frames": 5, "num_inference_steps": 150, "guidance_scale": 19.95, "shift": 0.3, "fps": 60}
    job = make(studio, prompt="a star beyond", seed=9, **extreme)
    page = open_page(studio.address)
    page.locator("#reuse").click()
    expect(page.locator("#form-prompt textarea")).to_have_value("a star beyond")
    expect(page.locator("#form-num_frames")).to_contain_text("Duration: 0.08 s · 5 frames")
    page.locator("#form-sampling_fold > button").click()
    steps = page.locator("#form-num_inference_steps input[type=range]")
    expect(steps).to_have_attribute("max", "150")
    expect(page.locator("#form-shift input[type=range]")).to_have_attribute("min", "0.3")
    page.locator("#form-generate").click()
    page.wait_for_function("document.querySelectorAll('#status [data-status=running]').length > 0")
    wait_until_done(page)
    again = studio.context.store.list(limit=1)[0]
    assert again.id != job.id
    assert again.request == job.request
    expect(page.locator(".toast-wrap .toast-body")).to_have_count(0)


def test_a_number_being_typed_is_no_error(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    choose_model(page, "Wan2.1 T2V 1.3B")
    frames = page.locator("#form-num_frames input[type=number]")
    expect(page.locator("#form-num_frames input[type=range]")).to_have_attribute("max", "129")
    expect(page.locator("#form-num_frames")).to_contain_text("Duration: 5.1 s · 81 frames")
    frames.fill("")
    frames.press_sequentially("129", delay=150)
    expect(page.locator("#form-preflight")).to_contain_text("8.1 s")
    expect(page.locator("#form-preflight")).to_contain_text("longer than the 81 frames")
    expect(page.locator("#form-num_frames")).to_contain_text("Duration: 8.1 s · 129 frames")
    assert page.locator(".toast-body").count() == 0


def test_a_store_that_fails_is_one_sentence(
    studio: Studio, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(job_id: str) -> bool:
        raise StoreError("The disk is full; make room.")

    make(studio, prompt="a star to keep")
    page = open_page(studio.address)
    monkeypatch.setattr(studio.context.store, "delete", fail)
    page.locator("#delete").click()
    expect(page.locator("#result .complaint")).to_have_text("The disk is full; make room.")
    expect(page.locator("#status .prompt")).to_have_text("a star to keep")
    assert page.locator(".toast-body").count() == 0


def test_a_page_left_open_works_on_after_a_restart(tmp_path: Path, open_page: OpenPage) -> None:
    studio = open_studio(tmp_path)
    port = int(studio.address.rstrip("/").rsplit(":", 1)[1])
    page = open_page(studio.address)
    choose_model(page, "Wan2.1 T2V 14B")
    page.get_by_label("720p").check()
    expect(page.locator("#form-preflight")).to_contain_text("1280×720 · 5.1 s")
    page.wait_for_timeout(1500)  # Gradio loads a page anew that loses its studio while a call is on its way
    studio.close()
    studio = open_studio(tmp_path, port=port)
    page.get_by_label("9:16").check()
    expect(page.locator("#form-preflight")).to_contain_text("720×1280 · 5.1 s")
    generate(page, "")
    expect(page.locator("#form-notice .alert")).to_have_text(
        "Prompt: the prompt is empty. Describe what should be seen."
    )
    choose_model(page, "Demo (built in)")
    expect(page.locator("#form-num_frames input[type=range]")).to_have_attribute("max", "25")
    generate(page, "a star after the restart")
    wait_until_done(page)
    studio.close()
