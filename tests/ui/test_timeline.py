"""The time line of a video: handles moved by mouse, finger and keys write the fields; fields move them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.conftest import RATE, SECONDS, OpenPage, Studio, queue
from tests.ui.test_form import values
from tests.ui.test_public_page import public  # noqa: F401 - a fixture
from ui.making import timeline
from ui.strings import ENGLISH
from wan_core.jobs.queue_file import waiting
from wan_core.jobs.store import JobStore
from wan_core.media.write import write_image

TAKEN = {"video", "video_start", "video_end"}
COLOUR = """(name) => {
  const canvas = document.querySelector(`#v2v-seen figure.${name} canvas`);
  if (canvas.width < 100) return null;
  return [...canvas.getContext('2d').getImageData(canvas.width / 2, 9, 1, 1).data];
}"""
FILM = """() => {
  const film = document.querySelector('#v2v-seen .film');
  if (!film.width) return false;
  const pen = film.getContext('2d');
  return [0.02, 0.5, 0.98].every((x) => pen.getImageData(x * film.width, 9, 1, 1).data[3] === 255);
}"""


def open_clip(page: Page, clip: Path) -> None:
    page.get_by_role("tab", name="Video to Video").click()
    page.set_input_files("#v2v-video input[type=file]", clip)
    expect(page.locator("#v2v-seen .timeline")).to_be_visible(timeout=30_000)
    expect(handle(page, "To")).to_have_attribute("aria-valuenow", "5.000")


def handle(page: Page, name: str) -> Locator:
    return page.locator("#v2v-seen").get_by_role("slider", name=name)


def drag(page: Page, name: str, seconds: float) -> None:
    """Drag a handle with the mouse by so many seconds."""
    grip, track = handle(page, name).bounding_box(), page.locator("#v2v-seen .track").bounding_box()
    x, y = grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + seconds / SECONDS * track["width"] / 2, y, steps=3)
    page.mouse.move(x + seconds / SECONDS * track["width"], y, steps=3)
    page.mouse.up()


def now(page: Page, name: str) -> float:
    return float(handle(page, name).get_attribute("aria-valuenow"))


def fields(page: Page) -> tuple[Locator, Locator]:
    """From and To, unfolded."""
    if not page.locator("#v2v-video_start").is_visible():
        page.locator("#v2v-framing_fold > button").click()
    end = page.locator("#v2v-video_end textarea, #v2v-video_end input").first
    return page.locator("#v2v-video_start input"), end


def test_a_part_is_dragged(studio: Studio, open_page: OpenPage, turning_clip: Path) -> None:
    page = open_page(studio.address)
    open_clip(page, turning_clip)
    page.wait_for_function(FILM, timeout=30_000)
    line = page.locator("#v2v-seen .timeline")
    height = line.bounding_box()["height"]
    expect(page.get_by_role("button", name="Whole video")).to_be_hidden()
    first = page.evaluate(COLOUR, "from")
    assert first[0] > 200 and first[2] < 60  # red: the very first frame

    drag(page, "From", 2.0)  # the fold of the fields is closed
    drag(page, "To", -1.0)
    start, end = now(page, "From"), now(page, "To")
    assert abs(start - 2.0) < 0.1 and abs(end - 4.0) < 0.1
    assert re.fullmatch(
        r"2\.0\d s · frame 2[3-5]|1\.9\d s · frame 2[3-5]",
        handle(page, "From").get_attribute("aria-valuetext"),
    )
    page.wait_for_function(
        f"() => {{ const at = ({COLOUR})('from'); return at && at[0] < 190 && at[2] > 60; }}"
    )
    from_field, to_field = fields(page)
    expect(from_field).to_have_value(f"{start:g}")
    expect(to_field).to_have_value(f"{end:g}")
    assert line.bounding_box()["height"] == height

    handle(page, "From").press("ArrowRight")  # a frame
    handle(page, "From").press("Shift+ArrowLeft")  # a second
    expect(from_field).to_have_value(
        f"{(round(start * RATE) + 1 - RATE) / RATE - 0.0005:.3f}".rstrip("0"), timeout=15_000
    )
    handle(page, "To").press("End")
    expect(to_field).to_have_value("")
    handle(page, "To").press("PageDown")
    expect(to_field).to_have_value("4")


def test_a_part_is_typed_and_queued(
    studio: Studio, store: JobStore, open_page: OpenPage, turning_clip: Path
) -> None:
    page = open_page(studio.address)
    open_clip(page, turning_clip)
    from_field, to_field = fields(page)
    from_field.fill("0.5")
    from_field.press("Tab")
    expect(handle(page, "From")).to_have_attribute("aria-valuenow", "0.500", timeout=15_000)
    to_field.press("ControlOrMeta+a")
    to_field.press_sequentially("2.25")
    expect(handle(page, "To")).to_have_attribute("aria-valuenow", "2.250", timeout=15_000)
    expect(page.locator("#v2v-seen .taken")).to_contain_text(
        "1.75 s, of which the clip takes the first 13 frames"
    )
    queued = queue(page, store, "a part of it")
    assert (queued.video_start, queued.video_end) == (0.5, 2.25)

    to_field.fill("4.5")  # as it is pasted
    expect(page.locator("#v2v-seen .last")).to_have_text("used to 2.63 s", timeout=15_000)
    page.locator("#form-num_frames input[type=number]").fill("9")
    expect(page.locator("#v2v-seen .taken")).to_contain_text("the first 9 frames", timeout=15_000)
    drag(page, "From", 1.0)
    expect(from_field).to_have_value(f"{now(page, 'From'):g}")
    page.get_by_role("button", name="Whole video").click()
    expect(from_field).to_have_value("0")
    expect(to_field).to_have_value("")
    queued = queue(page, store, "all of it")
    assert [request.prompt for request in waiting(store)] == ["a part of it", "all of it"]
    assert (queued.video_start, queued.video_end) == (0.0, None)


def test_the_whole_part_moves_and_a_finger_drags_on_a_phone(
    studio: Studio, open_page: OpenPage, turning_clip: Path
) -> None:
    page = open_page(studio.address, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    open_clip(page, turning_clip)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#v2v-seen .timeline").scroll_into_view_if_needed()
    track = page.locator("#v2v-seen .track").bounding_box()
    grip = handle(page, "From").bounding_box()
    touch = page.context.new_cdp_session(page)

    def at(x: float) -> list[dict]:
        return [{"x": x, "y": track["y"] + track["height"] / 2}]

    def swipe(x: float, seconds: float) -> None:
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": at(x)})
        for share in (0.3, 0.7, 1.0):
            moved = x + share * seconds / SECONDS * track["width"]
            touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": at(moved)})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    swipe(grip["x"] + 2, 2.0)  # beside the handle's middle, as fingers do
    start = now(page, "From")
    assert abs(start - 2.0) < 0.2 and now(page, "To") == SECONDS
    swipe(track["x"] + 0.8 * track["width"], -1.0)  # the part itself: its length stays
    assert abs(now(page, "From") - (start - 1.0)) < 0.15
    assert abs(now(page, "To") - now(page, "From") - (SECONDS - start)) < 0.1
    from_field, to_field = fields(page)
    expect(from_field).to_have_value(f"{now(page, 'From'):g}")
    expect(to_field).to_have_value(f"{now(page, 'To'):g}")


def test_a_visitors_video_has_its_frames_too(public: Studio, open_page: OpenPage, turning_clip: Path) -> None:  # noqa: F811
    page = open_page(public.address)
    open_clip(page, turning_clip)
    page.wait_for_function(FILM, timeout=30_000)


def test_only_a_video_that_is_cut_has_a_time_line(turning_clip: Path, tmp_path: Path) -> None:
    told = timeline.clip_of(
        {**values("demo"), "video": str(turning_clip), "video_start": 1, "video_end": "2.5"}, TAKEN
    )
    assert (told["start"], told["end"], told["rate"], round(told["seconds"], 3)) == (1.0, 2.5, RATE, SECONDS)
    assert told["src"] and told["frames"] == values("demo")["num_frames"]
    unfinished = timeline.clip_of({"video": str(turning_clip), "video_end": "soon"}, TAKEN)
    assert (unfinished["start"], unfinished["end"]) == (0.0, None)
    write_image(np.zeros((32, 32, 3), np.uint8), tmp_path / "a.png", "png", {})
    (tmp_path / "noise.mp4").write_bytes(bytes(999))
    for path in (str(tmp_path / "a.png"), str(tmp_path / "noise.mp4"), str(tmp_path / "gone.mp4"), None):
        assert timeline.clip_of({"video": path}, TAKEN) is None
    assert timeline.clip_of({"video": str(turning_clip)}, {"video"}) is None
    extended = timeline.clip_of(
        {"video": str(turning_clip), "mask_builder": "after", "num_frames": 33}, TAKEN
    )
    assert extended["frames"] is None


def test_a_video_that_the_browser_cannot_play_is_cut_all_the_same(
    studio: Studio, store: JobStore, open_page: OpenPage, turning_clip: Path, tmp_path: Path
) -> None:
    unplayable = tmp_path / "old.mp4"
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-i",
        turning_clip,
        "-c:v",
        "mpeg4",
        unplayable,
    ]
    subprocess.run(command, check=True)
    page = open_page(studio.address)
    open_clip(page, unplayable)
    expect(page.get_by_text(ENGLISH.timeline.unseen)).to_be_visible()
    drag(page, "From", 2.0)
    request = queue(page, store, "an old video")
    assert request.video_start == pytest.approx(2.0, abs=0.1)
