"""The Output fold in Chromium: a format that is chosen is the file that is shown."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import OpenPage, Studio
from tests.ui.test_page import generate, wait_until_done
from wan_core.media.metadata import read_request

pytestmark = pytest.mark.browser


def choose(page: Page, field: str, title: str) -> None:
    page.locator(f"#form-{field} input").click()
    page.get_by_role("option", name=title, exact=True).click()


def test_a_format_and_a_name_are_those_of_the_file(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    page.locator("#form-output_fold > button").click()
    choose(page, "video_format", "WebP")
    page.locator("#form-ping_pong input").check()
    page.locator("#form-filename input").fill("{seed} {prompt}")
    generate(page, "a quick WebP")
    wait_until_done(page)
    page.wait_for_function("document.querySelector('#stage img.picture')?.naturalWidth > 0")
    video = studio.context.store.list(limit=1)[0].result.video
    assert video.name.endswith(" a quick WebP.webp")
    request = read_request(video)
    assert (request.video_format, request.ping_pong) == ("webp", True)

    choose(page, "video_format", "WebM")
    choose(page, "codec", "HEVC")
    generate(page, "a wrong codec")
    expect(page.locator("#form-notice")).to_contain_text("Codec: HEVC does not go into a WEBM file. Choose")
    choose(page, "codec", "AV1")
    generate(page, "a quick WebM")
    wait_until_done(page)
    page.wait_for_function("document.querySelector('#stage video')?.videoWidth > 0")
