"""The frame that crops an input: moved and pulled by mouse, finger and keys; it decides what is queued."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.ui.conftest import OpenPage, Studio, queue
from tests.ui.test_timeline import open_clip
from wan_core.jobs.store import JobStore

SIZE = (300, 200)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two pictures of one size that differ."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / "first.png", folder / "second.png"]
    for number, path in enumerate(paths):
        rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
        frame = np.stack([columns * 255 // SIZE[0], rows * 255 // SIZE[1], 0 * rows + 200 * number], -1)
        Image.fromarray(frame.astype(np.uint8)).save(path)
    return paths


def open_picture(page: Page, picture: Path) -> Locator:
    page.get_by_role("tab", name="Image to Video").click()
    page.set_input_files("#i2v-image input[type=file]", picture)
    expect(page.locator("#i2v-seen figure .size")).to_be_visible(timeout=30_000)  # a ninth is cut from it
    return page.locator("#i2v-seen .crops figure")


def window(page: Page, name: str = "Image", key: str = "i2v") -> Locator:
    return page.locator(f"#{key}-seen").get_by_role("slider", name=f"Crop of {name}", exact=True)


def drag(page: Page, start: tuple[float, float], to: tuple[float, float], key: str = "i2v") -> None:
    """Drag over the picture, in shares of its sides."""
    box = page.locator(f"#{key}-seen .sheet").first.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, to)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*((one + other) / 2 for one, other in zip(*places, strict=True)), steps=3)
    page.mouse.move(*places[1], steps=3)
    page.mouse.up()


def edges(page: Page, name: str = "Image", key: str = "i2v") -> list[float]:
    """Left, top, right and bottom of the frame, in percent of the picture."""
    style = window(page, name, key).evaluate(
        "({ style }) => [style.left, style.top, style.width, style.height]"
    )
    left, top, width, height = (float(value.removesuffix("%")) for value in style)
    return [left, top, left + width, top + height]


def told(page: Page, key: str = "i2v") -> Locator:
    return page.locator(f"#{key}-seen .told .words")


def test_a_part_is_drawn_and_queued(
    studio: Studio, open_page: OpenPage, pictures: list[Path], store: JobStore
) -> None:
    page = open_page(studio.address)
    figure = open_picture(page, pictures[0])
    expect(figure).to_have_count(1)
    expect(figure.locator(".size")).to_have_text("300×200 of 300×200")
    assert edges(page) == [0, 0, 100, 100]
    drag(page, (0.98, 0.97), (0.48, 0.72))  # the lower right corner
    assert edges(page) == pytest.approx([0, 0, 50, 75], abs=1)
    drag(page, (0.25, 0.4), (0.5, 0.6))  # the frame
    expect(told(page)).to_have_text("What the model sees: 64×64, 62 % cut away.")
    assert edges(page) == pytest.approx([25, 20, 75, 95], abs=1)
    request = queue(page, store, "a drawn part")
    assert [share * 100 for share in request.crops.image] == pytest.approx(edges(page), abs=0.001)
    assert (request.width, request.height) == (64, 64)

    page.get_by_role("button", name="Undo crop").click()
    expect(told(page)).to_contain_text("64×48")
    assert edges(page) == [0, 0, 100, 100]
    assert queue(page, store, "all of it").crops is None


def test_keys_move_and_zoom_it(studio: Studio, open_page: OpenPage, pictures: list[Path]) -> None:
    page = open_page(studio.address)
    open_picture(page, pictures[0])
    frame = window(page)
    frame.press("-")  # it is the whole already
    assert edges(page) == [0, 0, 100, 100]
    for _ in range(14):
        frame.press("+")
    side = 100 / 1.05**14
    low, high = 50 - side / 2, 50 + side / 2
    assert edges(page) == pytest.approx([low, low, high, high], abs=0.01)
    frame.press("ArrowRight")
    frame.press("Shift+ArrowUp")
    assert edges(page)[:2] == pytest.approx([low + 1, low - 10], abs=0.01)
    frame.press("Shift+ArrowUp")
    frame.press("Shift+ArrowUp")  # no further than the edge
    assert edges(page)[1] == 0
    percent = round(side**2 / 100)
    left = round(low + 1)
    expect(frame).to_have_attribute("aria-valuetext", f"{percent} % of the picture, from {left} %, 0 %")
    expect(told(page)).to_contain_text("64×48, 77 % cut away")  # of 3:2, less a ninth
    expect(page.locator("#i2v-seen .cut")).to_be_visible()  # which is drawn, too


def test_it_keeps_to_the_shape_of_the_clip_where_that_is_chosen(
    studio: Studio, open_page: OpenPage, pictures: list[Path], store: JobStore
) -> None:
    page = open_page(studio.address)
    open_picture(page, pictures[0])
    page.locator("#i2v-framing_fold > button").click()
    page.locator("#i2v-match_input input").click()
    expect(told(page)).to_contain_text("33 % cut away")
    assert edges(page) == pytest.approx([100 / 6, 0, 500 / 6, 100], abs=0.01)  # the middle, a square
    drag(page, (0.5, 0.5), (0.9, 0.9))
    assert edges(page) == pytest.approx([100 / 3, 0, 100, 100], abs=0.01)
    drag(page, (0.35, 0.03), (0.8, 0.4))  # the upper left corner: the farther one counts
    left, top, right, bottom = edges(page)
    assert (right, bottom) == (100, 100)
    assert (right - left) * 3 == pytest.approx((bottom - top) * 2, abs=0.05)
    request = queue(page, store, "a square part")
    assert [share * 100 for share in request.crops.image] == pytest.approx(edges(page), abs=0.001)


def test_another_file_is_whole_and_swapped_files_keep_their_parts(
    studio: Studio, open_page: OpenPage, pictures: list[Path], store: JobStore
) -> None:
    page = open_page(studio.address)
    page.get_by_role("tab", name="First–Last Frame").click()
    for name, picture in zip(("image", "last_image"), pictures, strict=True):
        page.set_input_files(f"#flf2v-{name} input[type=file]", picture)
    expect(page.locator("#flf2v-seen .crops figure")).to_have_count(2, timeout=30_000)
    drag(page, (0.98, 0.97), (0.48, 0.47), "flf2v")
    expect(told(page, "flf2v")).to_contain_text("cut away")
    box = queue(page, store, "not swapped").crops.image
    page.get_by_role("button", name="Swap first and last").click()
    expect(window(page, "Image", "flf2v")).to_have_attribute("aria-valuenow", "100", timeout=30_000)
    expect(window(page, "Last image", "flf2v")).to_have_attribute("aria-valuenow", "22")
    request = queue(page, store, "swapped")
    assert (request.crops.image, request.crops.last_image) == (None, box)

    page.locator("#flf2v-last_image").get_by_role("button", name=re.compile("remove|clear", re.I)).click()
    page.set_input_files("#flf2v-last_image input[type=file]", pictures[1])
    expect(page.locator("#flf2v-seen .crops figure")).to_have_count(2, timeout=30_000)
    assert queue(page, store, "another file").crops is None


def test_a_part_of_a_video_comes_back_with_its_settings(
    studio: Studio, open_page: OpenPage, turning_clip: Path, store: JobStore
) -> None:
    page = open_page(studio.address)
    open_clip(page, turning_clip)
    page.locator("#v2v-seen").get_by_role("button", name="Crop").click()
    drag(page, (0.03, 0.05), (0.53, 0.05), "v2v")
    expect(told(page, "v2v")).to_contain_text("cut away")
    drawn = edges(page, "Video", "v2v")
    assert drawn == pytest.approx([50, 0, 100, 100], abs=1)
    request = queue(page, store, "the right half")
    assert [share * 100 for share in request.crops.video] == pytest.approx(drawn, abs=0.001)

    page.reload()
    page.get_by_role("tab", name="Video to Video").click()  # the form that was used last
    expect(page.locator("#v2v-seen .crops figure")).to_have_count(1, timeout=30_000)
    assert edges(page, "Video", "v2v") == pytest.approx(drawn, abs=0.01)
    assert queue(page, store, "again").crops == request.crops


def test_a_finger_moves_it_on_a_phone(studio: Studio, open_page: OpenPage, pictures: list[Path]) -> None:
    page = open_page(studio.address, viewport={"width": 390, "height": 844}, has_touch=True)
    open_picture(page, pictures[0])
    corner = page.locator("#i2v-seen .corner.se")
    corner.scroll_into_view_if_needed()
    box = corner.bounding_box()
    assert min(box["width"], box["height"]) >= 24
    touch = page.context.new_cdp_session(page)
    x, y = box["x"] + 8, box["y"] + 8
    for kind, points in (
        ("touchStart", [{"x": x, "y": y}]),
        ("touchMove", [{"x": x - 30, "y": y - 20}]),
        ("touchMove", [{"x": x - 60, "y": y - 40}]),
        ("touchEnd", []),
    ):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect(told(page)).to_contain_text("cut away")
    sheet = page.locator("#i2v-seen .sheet").bounding_box()
    assert sheet["x"] + sheet["width"] <= 390
    assert edges(page)[2:] == pytest.approx(
        [100 - 6000 / sheet["width"], 100 - 4000 / sheet["height"]], abs=1
    )
