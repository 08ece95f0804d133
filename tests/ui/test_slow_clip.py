"""A page on a slow line, with a video in it: what is drawn is what Generate asks for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import OpenPage, Studio
from tests.ui.slow_line import OVERTAKING, SLOW_JS, asked, settle, slowed
from tests.ui.test_timeline import drag, fields, now, open_clip
from wan_core.media.write import write_video

pytestmark = pytest.mark.browser


def slowed_with_clip(page: Page, clip: Path, delays: list[int]) -> Page:
    """A page whose form is filled and has a video in it, before answers come late."""
    open_clip(page, clip)
    settle(page)
    return slowed(page, delays)


def test_the_length_is_that_of_a_video_given_before_the_form_is_filled(
    studio: Studio, open_page: OpenPage, tmp_path: Path
) -> None:
    write_video([np.zeros((15, 64, 64, 3), np.uint8)], clip := tmp_path / "short.mp4", 12, 12, {})
    page = slowed(open_page(studio.address), OVERTAKING)
    length = page.locator("#form-num_frames input[type=number]")
    before = length.input_value()
    page.get_by_role("tab", name="Video to Video").click()
    page.set_input_files("#v2v-video input[type=file]", clip)
    settle(page)
    assert before == "17"
    expect(length).to_have_value("9")  # of ten in 1.25 s, as many as a clip can have
    expect(page.locator("#form-preflight")).to_contain_text("1.1 s")


def test_a_part_is_asked_for_as_soon_as_it_is_drawn(
    studio: Studio, open_page: OpenPage, turning_clip: Path
) -> None:
    page = slowed_with_clip(open_page(studio.address), turning_clip, [60_000])
    drag(page, "From", 2.0)
    drag(page, "To", -1.0)
    start, end = fields(page)
    expect(start).to_have_value(f"{now(page, 'From'):g}")
    expect(end).to_have_value(f"{now(page, 'To'):g}")


def test_a_time_that_is_none_is_told(studio: Studio, open_page: OpenPage, turning_clip: Path) -> None:
    page = slowed_with_clip(open_page(studio.address), turning_clip, [800, 100, 400])
    page.locator("#v2v-strength input[type=number]").fill("0.4")
    start, end = fields(page)
    start.fill("0.5")
    end.fill("soon")
    start.press("Tab")
    settle(page)
    expect(page.locator("#form-preflight .alert")).to_contain_text("To: 'soon' is refused.")


def test_what_is_remembered_comes_back_where_a_person_went_meanwhile(
    studio: Studio, open_page: OpenPage, turning_clip: Path
) -> None:
    page = open_page(studio.address)
    open_clip(page, turning_clip)
    page.locator("#v2v-strength input[type=number]").fill("0.4")
    fields(page)[0].fill("1.5")
    settle(page)
    before = asked(studio, page)
    assert (before.strength, before.video_start) == (0.4, 1.5)

    page.add_init_script(f"({SLOW_JS})([1200, 300, 100])")
    page.reload()
    page.get_by_role("tab", name="Video to Video").click()
    settle(page)
    expect(page.locator("#form-prompt textarea")).to_have_value(before.prompt)
    expect(page.locator("#v2v-seen .timeline")).to_be_visible()
    again = asked(studio, page)
    assert again.model_copy(update={"seed": before.seed}) == before
