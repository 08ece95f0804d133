"""Every tab on its built-in model: the real worker, files of the demo world; what comes out is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from benchmarks.adherence_studio import pixels
from benchmarks.detector import detect, overlap, psnr, thing_masks
from tests.ui.conftest import OpenPage
from tests.ui.test_app import PATIENCE, App
from tests.ui.test_page import VIDEO_PLAYS
from tests.ui.test_tabs import give, open_tab, open_with
from wan_core.jobs.job import JobStatus
from wan_core.media.read import read_video
from wan_core.media.write import write_image, write_video
from wan_core.training.world import Scene, Thing, draw

pytestmark = pytest.mark.browser

SCENE = Scene((Thing("yellow", "square", "right", 12.0, 0.5, 0.2),), "night")
PROMPT = "a yellow square moving right at night"
FRAMES, SEED = 17, 4
SHOWN_AT_64 = """(id) => {
  const shown = document.querySelector(`${id} img, ${id} video`);
  return (shown?.naturalWidth ?? shown?.videoWidth) === 64;
}"""

JOB_SHOWN = """() => document.querySelector('#result .acts')?.dataset.job ?? ''"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    app = App(tmp_path_factory.mktemp("home"))
    yield app
    app.stop()


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """(T, H, W, 3), uint8."""
    return pixels(draw(SCENE, FRAMES))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, clip: np.ndarray) -> Path:
    """first.png, last.png and clip.mp4 of the scene."""
    folder = tmp_path_factory.mktemp("files")
    write_image(clip[0], folder / "first.png", "png", {})
    write_image(clip[-1], folder / "last.png", "png", {})
    write_video([clip], folder / "clip.mp4", 8, 0, {})
    return folder


def make(app: App, page: Page, key: str, prompt: str) -> np.ndarray:
    """Generate in a tab and watch it play; the frames (T, H, W, 3) of the file."""
    page.locator("#form-seed input").fill(str(SEED))
    page.locator("#form-prompt textarea").fill(prompt)
    before = page.evaluate(JOB_SHOWN)
    page.locator("#form-generate").click()
    page.wait_for_function(f"(before) => ({JOB_SHOWN})() !== before", arg=before, timeout=PATIENCE)
    expect(page.locator("#status .prompt")).to_have_text(prompt, timeout=PATIENCE)
    page.wait_for_selector('#status [data-status="done"], #status [data-status="failed"]', timeout=PATIENCE)
    job = app.newest()
    assert job.status is JobStatus.DONE, job.error
    page.wait_for_function(VIDEO_PLAYS, timeout=PATIENCE)
    return read_video(job.result.video).frames


def test_a_picture_is_set_in_motion(app: App, open_page: OpenPage, files: Path, clip: np.ndarray) -> None:
    page = open_page(app.address)
    open_with(page, "i2v", "image", files / "first.png", "64×64")
    expect(page.locator("#form-model input")).to_have_value("Demo image to video (built in)")
    frames = make(app, page, "i2v", PROMPT)
    assert psnr(frames[0], clip[0]) > 22
    assert detect(frames).motion == "right"


def test_a_clip_leads_from_the_first_frame_to_the_last(
    app: App, open_page: OpenPage, files: Path, clip: np.ndarray
) -> None:
    page = open_page(app.address)
    open_with(page, "flf2v", "image", files / "first.png", "64×64")
    give(page, "flf2v", "last_image", files / "last.png")
    page.wait_for_function("document.querySelector('#flf2v-last_image img')?.naturalWidth === 64")
    expect(page.locator("#flf2v-seen")).to_contain_text("The model sees all of it, at 64×64.")
    frames = make(app, page, "flf2v", PROMPT)
    assert psnr(frames[0], clip[0]) > 22 and psnr(frames[-1], clip[-1]) > 20
    assert detect(frames).motion == "right"


def test_a_video_becomes_another(app: App, open_page: OpenPage, files: Path) -> None:
    page = open_page(app.address)
    open_with(page, "v2v", "video", files / "clip.mp4", "64×64")
    page.locator("#v2v-strength input[type=number]").fill("0.9")
    assert detect(make(app, page, "v2v", "a red circle moving right at night")).colour == "red"


def test_what_is_around_a_region_is_kept(
    app: App, open_page: OpenPage, files: Path, clip: np.ndarray
) -> None:
    page = open_page(app.address)
    open_with(page, "control", "video", files / "clip.mp4", "64×64")
    expect(page.locator("#form-model input")).to_have_value("Demo VACE (built in)")
    page.locator("#control-mask_fold > button").click()
    page.locator("#control-mask_builder input").click()
    page.get_by_role("option", name="Region", exact=True).click()
    for side, percent in (("left", 0), ("top", 20), ("right", 100), ("bottom", 80)):
        page.locator(f"#control-{side} input").fill(str(percent))
    frames = make(app, page, "control", "a red circle moving right at night")
    outside = np.ones((64, 64), dtype=bool)
    outside[12:52] = False
    assert psnr(frames, clip, outside) > 30
    assert detect(frames).colour == "red"


def test_outlines_are_followed(app: App, open_page: OpenPage, files: Path, clip: np.ndarray) -> None:
    page = open_page(app.address)
    open_with(page, "control", "video", files / "clip.mp4", "64×64")
    page.locator("#control-preprocess input").click()
    page.get_by_role("option", name="Canny", exact=True).click()
    frames = make(app, page, "control", "a green square moving right at night")
    assert overlap(thing_masks(frames), thing_masks(clip)) > 0.6
    assert detect(frames).colour == "green"


@pytest.mark.parametrize(
    ("key", "title", "given", "prompt"),
    [
        ("i2v", "A square at night", ["image"], "a yellow square moving right at night"),
        ("flf2v", "Up into the sky", ["image", "last_image"], "a purple star moving up in the blue sky"),
        ("v2v", "Make it a red circle", ["video"], "a red circle moving right at night"),
        ("control", "Replace it in a region", ["video"], "a red circle moving right at night"),
    ],
)
def test_one_click_fills_a_tab(
    app: App, open_page: OpenPage, key: str, title: str, given: list[str], prompt: str
) -> None:
    page = open_page(app.address)
    open_tab(page, key)
    page.locator("#form-examples button", has_text=title).click()
    expect(page.locator("#form-prompt textarea")).to_have_value(prompt)
    for name in given:
        page.wait_for_function(SHOWN_AT_64, arg=f"#{key}-{name}", timeout=PATIENCE)
    expect(page.locator("#form-preflight")).to_contain_text("64×64 · 2.1 s")
    if key == "control":
        page.locator("#control-mask_fold > button").click()
        expect(page.locator("#control-top input")).to_have_value("20")
        page.locator("#form-examples button", has_text="Bring a triangle to life").click()
        expect(page.locator("#control-seen img")).to_have_count(1)
        expect(page.locator("#control-video video")).to_have_count(0)
        expect(page.locator("#control-top")).to_be_hidden()


def test_an_example_is_made_as_it_comes(app: App, open_page: OpenPage) -> None:
    page = open_page(app.address)
    open_tab(page, "v2v")
    page.locator("#form-examples button", has_text="Make it a red circle").click()
    prompt = "a red circle moving right at night"
    expect(page.locator("#form-prompt textarea")).to_have_value(prompt)
    found = detect(make(app, page, "v2v", prompt))
    assert (found.colour, found.motion) == ("red", "right")
