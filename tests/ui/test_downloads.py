"""Results in other formats, from the panel."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.jobs.conftest import wait_for
from tests.ui.conftest import OpenPage, Studio
from tests.ui.test_page import VIDEO_PLAYS, make
from ui.result.exports import FORMATS, PLAYABLE, Exports, exports_dir
from wan_core.jobs.job import Job
from wan_core.media.exporting import EXPORT_FORMATS
from wan_core.media.metadata import read_request
from wan_core.media.sniff import sniff
from wan_core.schema import InvalidRequest


def finished(exports: Exports, job: Job, format: str) -> Path:
    made: list[Path] = []
    wait_for(lambda: (path := exports.get(job, format)) is not None and (made.append(path) or True))
    return made[0]


def test_everything_that_can_be_exported_is_offered() -> None:
    assert set(FORMATS) == set(EXPORT_FORMATS) - {"png-folder"}


def test_an_export_is_made_once_and_kept_for_a_day(studio: Studio) -> None:
    job = make(studio, prompt="a star to export", num_frames=5)
    exports = Exports(studio.context.settings)
    assert exports.get(job, "mp4") == job.result.video  # it is one
    assert exports.get(job, "gif") is None  # under way
    gif = finished(exports, job, "gif")
    assert gif.suffix == ".gif" and read_request(gif) == job.result.request
    changed = gif.stat().st_mtime_ns
    assert exports.get(job, "gif") == gif and gif.stat().st_mtime_ns == changed
    playable = finished(exports, job, PLAYABLE)
    assert playable.suffix == ".mp4" and playable != job.result.video
    old = time.time() - 25 * 3600
    os.utime(gif.parent, (old, old))
    other = make(studio, prompt="another star to export", num_frames=5)
    finished(exports, other, "last-frame")
    assert [folder.name for folder in exports_dir(studio.context.settings).iterdir()] == [other.id]


@pytest.mark.parametrize("format", ["exe", "", "../../x", "png-folder"])
def test_no_other_format_is_made(studio: Studio, format: str) -> None:
    job = make(studio, prompt="a star to export", num_frames=5)
    with pytest.raises(InvalidRequest):
        Exports(studio.context.settings).get(job, format)


@pytest.mark.browser
def test_a_result_is_downloaded_in_other_formats(studio: Studio, open_page: OpenPage) -> None:
    make(studio, prompt="a star to download", num_frames=9)
    page = open_page(studio.address)
    expect(page.locator("#status .prompt")).to_have_text("a star to download")
    for name, suffix, kind in (("GIF, 256 colours", ".gif", "video"), ("Last frame as PNG", ".png", "image")):
        page.locator("#download").click()
        with page.expect_download() as download:
            page.get_by_role("button", name=name).click()
        assert download.value.suggested_filename.endswith(suffix)
        assert sniff(Path(download.value.path())).kind == kind
    expect(page.locator("#download")).to_have_attribute("aria-expanded", "false")
    page.locator("#download").press("ArrowDown")
    page.locator("#download").click()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#download-file")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#download")).to_be_focused()
    expect(page.locator("#download-file")).to_be_hidden()


@pytest.mark.browser
def test_a_codec_that_the_browser_lacks_is_played_all_the_same(studio: Studio, open_page: OpenPage) -> None:
    job = make(studio, prompt="a star in HEVC", num_frames=9, codec="hevc")
    page = open_page(studio.address)
    expect(page.locator("#status .prompt")).to_have_text("a star in HEVC")
    page.wait_for_function(VIDEO_PLAYS)
    page.locator("#download").click()
    with page.expect_download() as download:
        page.locator("#download-file").click()
    assert Path(download.value.path()).read_bytes() == job.result.video.read_bytes()  # that stays HEVC
