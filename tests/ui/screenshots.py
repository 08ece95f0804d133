"""Pictures of the real app at work on the demo model: ``python -m tests.ui.screenshots docs``.

Writes ``screenshot.png`` (wide, light), ``screenshot-dark.png`` (the history) and ``screenshot-phone.png``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.ui.conftest import CHROMIUM, CHROMIUM_ARGUMENTS
from tests.ui.test_app import App
from tests.ui.test_page import VIDEO_PLAYS

SEED = 12
PATIENCE = 120_000  # milliseconds


def main(folder: Path) -> None:
    """Make a video of every example, then take the pictures."""
    app = App(Path(tempfile.mkdtemp()))
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
            page = open_page(browser, app, width=1440, height=860)
            examples = page.locator("#form-examples button")
            for number in reversed(range(examples.count())):
                make(page, number)
            page.screenshot(path=folder / "screenshot.png")
            page = open_page(browser, app, width=1440, height=860, dark=True)
            page.get_by_role("tab", name="Queue & History").click()
            page.locator("#history .card .open").nth(1).click()
            settle(page)
            page.screenshot(path=folder / "screenshot-dark.png")
            page = open_page(browser, app, width=390, height=844, dark=True)
            page.locator("#panel").scroll_into_view_if_needed()
            settle(page)
            page.screenshot(path=folder / "screenshot-phone.png", full_page=True)
            browser.close()
    finally:
        app.stop()


def open_page(browser: Browser, app: App, width: int, height: int, dark: bool = False) -> Page:
    """A page of the app that has loaded."""
    page = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
    )
    page.goto(app.address)
    page.wait_for_selector(".preflight .facts")
    page.wait_for_timeout(1000)
    return page


def make(page: Page, number: int) -> None:
    """Make the video of an example and wait until it plays."""
    example = page.locator("#form-examples button").nth(number)
    prompt = example.inner_text()
    example.click()
    page.wait_for_function(f"document.querySelector('#form-prompt textarea').value === {prompt!r}")
    page.locator("#form-seed input").fill(str(SEED))
    page.locator("#form-generate").click()
    page.locator("#status[class] .prompt", has_text=prompt).wait_for()
    page.wait_for_selector('#status [data-status="done"]', timeout=PATIENCE)
    settle(page)


def settle(page: Page) -> None:
    """Wait for the video, and for its middle."""
    page.mouse.move(1, 1)
    page.wait_for_function(VIDEO_PLAYS, timeout=PATIENCE)
    page.wait_for_timeout(1200)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
