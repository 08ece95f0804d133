"""Every tab that makes something, in Chromium: files in, what the model sees, jobs out, results sent on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.ui.conftest import OpenPage, Studio, open_studio
from tests.ui.test_page import VIDEO_PLAYS, wait_until_done
from wan_core.catalog import MODELS, TaskInputs, find_model
from wan_core.jobs.job import Job
from wan_core.media.inputs import InputStore
from wan_core.media.read import read_image, read_last_frames, read_mask_image
from wan_core.media.write import write_video

pytestmark = pytest.mark.browser

CUT = ("fit", "match_input")
MASKING = ("mask", "mask_builder", "region")
SMALL = {
    "i2v": TaskInputs("image", ("image",), ("continues", *CUT)),
    "flf2v": TaskInputs("image", ("image", "last_image"), CUT),
    "control": TaskInputs(
        "vace",
        (),
        (
            "video",
            "video_start",
            "video_end",
            "mask",
            "mask_builder",
            "region",
            "preprocess",
            "references",
            *CUT,
        ),
    ),
}
TITLES = {
    "t2v": "Text to Video",
    "i2v": "Image to Video",
    "flf2v": "First–Last Frame",
    "v2v": "Video to Video",
    "control": "Control",
}

IN_FRONT_OF_HEADER = """() => {
  const header = document.getElementById('header'), box = header.getBoundingClientRect(), seen = [];
  for (let x = box.left + 2; x < box.right; x += 6)
    for (let y = box.top + 2; y < box.bottom - 1; y += 6) {
      const element = document.elementFromPoint(x, y);
      if (!header.contains(element)) seen.push(element.textContent);
    }
  return seen;
}"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio with a small model for each task, which is there without a download."""
    demo = find_model("demo")
    rows = {
        f"small-{task}": replace(demo, id=f"small-{task}", title=f"Small {task}", inputs={task: taken})
        for task, taken in SMALL.items()
    }
    others = dict(MODELS)
    MODELS.clear()
    MODELS.update({**rows, **others})  # a tab begins with the first of its models that is there
    studio = open_studio(tmp_path_factory.mktemp("studio"))
    yield studio
    studio.close()
    for name in rows:
        del MODELS[name]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """first.png (3:2, red), last.png (blue), clip.mp4 (2 s of growing brightness, square)."""
    folder = tmp_path_factory.mktemp("files")
    Image.new("RGB", (96, 64), (200, 30, 30)).save(folder / "first.png")
    Image.new("RGB", (96, 64), (30, 30, 200)).save(folder / "last.png")
    frames = np.broadcast_to(np.arange(32, dtype=np.uint8)[:, None, None, None] * 7, (32, 64, 64, 3))
    write_video([np.ascontiguousarray(frames)], folder / "clip.mp4", 16, 10, {})
    (folder / "words.png").write_text("this is no picture")
    return folder


def open_tab(page: Page, key: str) -> None:
    page.get_by_role("tab", name=TITLES[key], exact=True).click()
    page.wait_for_selector("#form-preflight p")


def give(page: Page, key: str, name: str, *paths: Path) -> None:
    page.locator(f"#{key}-{name} input[type=file]").first.set_input_files([str(path) for path in paths])


def open_with(page: Page, key: str, name: str, path: Path, told: str) -> None:
    """Open a tab, give it a file, and wait until what comes of it is told."""
    open_tab(page, key)
    give(page, key, name, path)
    expect(page.locator("#form-preflight")).to_contain_text(told)


def make(studio: Studio, page: Page, key: str, prompt: str) -> Job:
    """Generate in a tab and wait for the result."""
    page.locator("#form-prompt textarea").fill(prompt)
    page.locator("#form-generate").click()
    expect(page.locator("#status .prompt")).to_have_text(prompt)
    wait_until_done(page)
    return studio.context.store.list(limit=1)[0]


def kept(studio: Studio, name: str) -> Path:
    return InputStore(studio.context.settings.inputs_dir).path(name)


def test_a_picture_becomes_a_video_and_is_there_after_a_reload(
    studio: Studio, open_page: OpenPage, files: Path
) -> None:
    page = open_page(studio.address)
    open_with(page, "i2v", "image", files / "first.png", "64×48 · 2.1 s")
    expect(page.locator("#form-model input")).to_have_value("Small i2v")
    expect(page.locator("#i2v-seen")).to_contain_text("What the model sees: 64×48, 11 % cut away.")
    page.wait_for_function("document.querySelector('#i2v-seen .crops img').naturalWidth === 96")
    request = make(studio, page, "i2v", "it moves").request
    assert (request.task, request.match_input, request.continues) == ("i2v", True, None)
    assert kept(studio, request.image).read_bytes() == (files / "first.png").read_bytes()
    page.wait_for_function(VIDEO_PLAYS)
    page.reload()
    page.wait_for_selector("#form-preflight .facts")
    open_tab(page, "i2v")
    expect(page.locator("#form-prompt textarea")).to_have_value("it moves")
    page.wait_for_function("document.querySelector('#i2v-image img').naturalWidth === 96")
    assert make(studio, page, "i2v", "it moves again").request.image == request.image


def test_first_and_last_are_asked_for_swapped_and_framed(
    studio: Studio, open_page: OpenPage, files: Path
) -> None:
    page = open_page(studio.address)
    open_with(page, "flf2v", "image", files / "first.png", "64×48")
    page.locator("#form-prompt textarea").fill("from red to blue")
    page.locator("#form-generate").click()
    expect(page.locator("#form-notice .alert")).to_contain_text("Last image: Small flf2v needs it")
    give(page, "flf2v", "last_image", files / "last.png")
    expect(page.locator("#flf2v-seen img")).to_have_count(2)
    page.locator("#flf2v-swap").click()
    page.locator("#flf2v-framing_fold > button").click()
    page.locator("#flf2v-match_input input").uncheck()
    expect(page.locator("#form-preflight")).to_contain_text("64×64")
    expect(page.locator("#flf2v-seen")).to_contain_text("64×64, 33 % cut away")
    request = make(studio, page, "flf2v", "from blue to red").request
    assert (request.task, request.match_input, request.width, request.height) == ("flf2v", False, 64, 64)
    assert tuple(read_image(kept(studio, request.image))[0, 0]) == (30, 30, 200)
    assert tuple(read_image(kept(studio, request.last_image))[0, 0]) == (200, 30, 30)


def test_a_video_is_changed_from_a_moment_on_with_a_strength(
    studio: Studio, open_page: OpenPage, files: Path
) -> None:
    page = open_page(studio.address)
    open_with(page, "v2v", "video", files / "clip.mp4", "64×64 · 1.6 s")  # the clip is 2 s long
    expect(page.locator("#v2v-seen")).to_contain_text("The model sees all of it, at 64×64.")
    page.locator("#v2v-strength input[type=number]").fill("0.4")
    page.locator("#v2v-framing_fold > button").click()
    page.locator("#v2v-video_start input").fill("0.5")
    page.locator("#v2v-video_end textarea, #v2v-video_end input").first.fill("soon")
    page.locator("#v2v-video_start input").press("Tab")
    expect(page.locator("#form-preflight .alert")).to_contain_text("To: 'soon' is refused.")
    page.locator("#v2v-video_end textarea, #v2v-video_end input").first.fill("")
    request = make(studio, page, "v2v", "the same at night").request
    assert (request.task, request.strength, request.video_start, request.video_end) == ("v2v", 0.4, 0.5, None)
    assert kept(studio, request.video).read_bytes() == (files / "clip.mp4").read_bytes()


def test_control_takes_references_and_refuses_what_does_not_fit(
    studio: Studio, open_page: OpenPage, files: Path
) -> None:
    page = open_page(studio.address)
    open_tab(page, "control")
    page.locator("#form-prompt textarea").fill("nothing given")
    page.locator("#form-generate").click()
    expect(page.locator("#form-notice .alert")).to_contain_text("nothing is given that could steer")
    page.locator("#control-pictures_fold > button").click()
    give(page, "control", "references", files / "first.png", files / "last.png")
    expect(page.locator("#control-seen img")).to_have_count(2)
    expect(page.locator("#control-image")).to_be_hidden()  # this model takes none
    request = make(studio, page, "control", "both of them").request
    assert (request.task, len(request.references), request.video) == ("control", 2, None)
    assert page.locator("#control-camera_motion").count() == 0


def test_a_mask_is_built_from_a_region(studio: Studio, open_page: OpenPage, files: Path) -> None:
    page = open_page(studio.address)
    open_with(page, "control", "video", files / "clip.mp4", "64×64 · 1.6 s")
    page.locator("#control-mask_fold > button").click()
    expect(page.locator("#control-left")).to_be_hidden()
    page.locator("#control-mask_builder input").click()
    page.get_by_role("option", name="Region", exact=True).click()
    for side, percent in (("left", 25), ("top", 0), ("right", 75), ("bottom", 50)):
        page.locator(f"#control-{side} input").fill(str(percent))
    request = make(studio, page, "control", "another middle").request
    assert (request.mask_builder, request.region) == ("region", (0.25, 0, 0.75, 0.5))


def test_a_single_frame_is_a_picture_that_can_be_set_in_motion(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    frames = page.locator("#form-num_frames input[type=number]")
    frames.fill("1")
    frames.press("Tab")
    expect(page.locator("#form-num_frames")).to_contain_text("Duration: a single picture")
    expect(page.locator("#form-preflight")).to_contain_text("64×64 · a picture")
    job = make(studio, page, "t2v", "a still star")
    assert (job.request.task, job.result.video.suffix) == ("t2i", ".png")
    page.wait_for_function("document.querySelector('#stage img.picture').naturalWidth === 64")
    expect(page.locator("#send")).to_be_disabled()
    expect(page.locator("#send-i2v")).to_have_text("Image to Video")
    page.locator("#send-i2v").click()
    page.wait_for_function("document.querySelector('#i2v-image img')?.naturalWidth === 64")
    expect(page.locator("#form-prompt textarea")).to_have_value("a still star")
    expect(page.locator("#i2v-join")).to_be_hidden()


def test_a_result_goes_on_and_its_settings_come_back_with_their_files(
    studio: Studio, open_page: OpenPage, files: Path
) -> None:
    page = open_page(studio.address)
    frames = page.locator("#form-num_frames input[type=number]")
    frames.fill("17")
    frames.press("Tab")
    first = make(studio, page, "t2v", "a disc that crosses")
    page.locator("#send-i2v").click()
    expect(page.get_by_role("tab", name="Image to Video")).to_have_attribute("aria-selected", "true")
    page.wait_for_function("document.querySelector('#i2v-image img')?.naturalWidth === 64")
    expect(page.locator("#i2v-join input")).to_be_visible()
    longer = make(studio, page, "i2v", "and goes on").request
    assert kept(studio, longer.continues).read_bytes() == first.result.video.read_bytes()
    last = read_last_frames(first.result.video, 1).frames[0]
    assert np.array_equal(read_image(kept(studio, longer.image)), last)
    page.locator("#send").click()
    page.locator("#send-v2v").click()
    page.wait_for_function("document.querySelector('#v2v-video video')?.videoWidth === 64")
    assert make(studio, page, "v2v", "changed").request.video is not None
    page.get_by_role("tab", name="Queue & History").click()
    page.locator("#history .card", has_text="and goes on").locator(".open").click()
    expect(page.locator("#status .prompt")).to_have_text("and goes on")
    page.locator("#reuse").click()
    expect(page.get_by_role("tab", name="Image to Video")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#form-prompt textarea")).to_have_value("and goes on")
    expect(page.locator("#form-seed input")).to_have_value(str(longer.seed))
    again = make(studio, page, "i2v", "and goes on once more").request
    assert (again.image, again.continues, again.seed) == (longer.image, longer.continues, longer.seed)


def test_the_shift_shown_is_that_of_the_size(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    open_tab(page, "i2v")
    page.locator("#form-model input").click()
    page.get_by_role("option", name="Wan2.1 I2V 14B 720P", exact=True).click()
    page.locator("#form-sampling_fold > button").click()
    shift = page.locator("#form-shift input[type=number]")
    expect(shift).to_have_value("5")
    page.locator("#form-resolution").get_by_label("480p").check()
    expect(shift).to_have_value("3")
    shift.fill("7")
    shift.press("Tab")
    page.locator("#form-resolution").get_by_label("720p").check()
    expect(page.locator("#form-preflight")).to_contain_text("1280×720")
    expect(shift).to_have_value("7")


def test_what_is_painted_is_the_mask(studio: Studio, open_page: OpenPage, files: Path) -> None:
    page = open_page(studio.address)
    open_with(page, "v2v", "video", files / "clip.mp4", "64×64 · 1.6 s")
    page.locator("#v2v-mask_fold > button").click()
    canvas = page.locator("#v2v-drawing canvas").first
    canvas.scroll_into_view_if_needed()
    page.wait_for_timeout(1500)  # the editor lays the video's first frame under
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 - 20, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 20, box["y"] + box["height"] / 2, steps=8)
    page.mouse.up()
    page.wait_for_timeout(500)
    request = make(studio, page, "v2v", "only the middle").request
    mask = read_mask_image(kept(studio, request.mask))
    assert mask.shape == (64, 64)
    assert (mask[32, 32], mask[2, 2]) == (255, 0)


def test_what_is_no_picture_is_one_sentence(studio: Studio, open_page: OpenPage, files: Path) -> None:
    page = open_page(studio.address)
    open_tab(page, "i2v")
    give(page, "i2v", "image", files / "words.png")
    expect(page.locator("#form-preflight .alert")).to_contain_text("words.png")
    page.locator("#form-prompt textarea").fill("a star")
    page.locator("#form-generate").click()
    expect(page.locator("#form-notice .alert")).to_contain_text("words.png")
    assert page.locator(".toast-body").count() == 0


@pytest.mark.parametrize("width", [390, 1280])
def test_no_tab_is_too_wide_or_too_full(studio: Studio, open_page: OpenPage, width: int) -> None:
    page = open_page(studio.address, viewport={"width": width, "height": 900})
    for key in TITLES:
        open_tab(page, key)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        seen = page.locator("#inputs .field:visible, .go button:visible, .seed-row button:visible")
        assert 0 < seen.count() <= 10, key


def test_the_header_and_the_result_stay_in_sight(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address, viewport={"width": 1280, "height": 600})
    page.mouse.move(200, 300)
    page.mouse.wheel(0, 300)
    page.wait_for_function("window.scrollY > 100")
    top = "(id) => document.getElementById(id).getBoundingClientRect().top"
    assert page.evaluate(top, "header") == 0
    assert page.evaluate(top, "panel") > 0
    for down in range(100, 300, 20):  # whatever scrolls by, nothing shows above the header
        page.evaluate("(y) => window.scrollTo(0, y)", down)
        assert page.evaluate(IN_FRONT_OF_HEADER) == []
