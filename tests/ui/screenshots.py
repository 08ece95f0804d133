"""A newcomer's tour of the real app on the demo model: ``python -m tests.ui.screenshots docs/screenshots``.

Makes a video of every example, then takes a picture of every tab in light, dark, on a phone and in Chinese:
``light-i2v.png`` and so on; and of a result, ``light-result.png``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.ui.conftest import CHROMIUM, CHROMIUM_ARGUMENTS
from tests.ui.test_app import App
from tests.ui.test_page import VIDEO_PLAYS
from ui.strings import LANGUAGES

SEED = 12
PATIENCE = 180_000  # milliseconds

WIDE = {"viewport": {"width": 1440, "height": 900}}
VIEWS: dict[str, dict[str, Any]] = {
    "light": WIDE,
    "dark": {**WIDE, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True},
    "chinese": {**WIDE, "locale": "zh-CN"},
}


def main(folder: Path) -> None:
    """Make the videos, then walk through every view."""
    folder.mkdir(parents=True, exist_ok=True)
    app = App(Path(tempfile.mkdtemp()))
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
            page = open_page(browser, app, **WIDE)
            examples = page.locator("#form-examples button")
            for number in reversed(range(examples.count())):
                make(page, number)
            page.screenshot(path=folder / "light-result.png")
            page.close()
            for name, options in VIEWS.items():
                tour(open_page(browser, app, **options), name, folder)
            browser.close()
    finally:
        app.stop()


def open_page(browser: Browser, app: App, **options: Any) -> Page:
    """A page of the app that has loaded."""
    page = browser.new_context(**options).new_page()
    page.goto(app.address)
    page.wait_for_selector(".preflight .facts")
    page.wait_for_timeout(1000)
    return page


def tour(page: Page, view: str, folder: Path) -> None:
    """A picture of each tab, those that take pictures and videos with an example in them."""
    texts = LANGUAGES["zh" if view == "chinese" else "en"]
    titles = {**texts.tabs, "history": texts.tab_history, "models": texts.tab_models}
    for key, title in {**titles, "settings": texts.tab_settings}.items():
        page.get_by_role("tab", name=title, exact=True).click()
        if key in ("i2v", "flf2v", "v2v", "control"):
            page.locator("#form-examples button:visible").first.click()
            page.wait_for_timeout(2500)  # it is sent, fitted and drawn
            page.evaluate("scrollTo(0, 0)")
        settle(page)
        page.screenshot(path=folder / f"{view}-{key}.png")
    page.close()


def make(page: Page, number: int) -> None:
    """Make the video of an example and wait until it plays."""
    example = page.locator("#form-examples button").nth(number)
    prompt = example.inner_text()
    example.click()
    page.wait_for_function(f"document.querySelector('#form-prompt textarea').value === {prompt!r}")
    page.locator("#form-seed input").fill(str(SEED))
    page.locator("#form-generate").click()
    page.locator("#status .prompt", has_text=prompt).wait_for()
    page.wait_for_selector('#status [data-status="done"]', timeout=PATIENCE)
    settle(page)


def settle(page: Page) -> None:
    """Wait for the video, and for its middle."""
    page.mouse.move(1, 1)
    page.wait_for_function(VIDEO_PLAYS, timeout=PATIENCE)
    page.wait_for_timeout(900)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
