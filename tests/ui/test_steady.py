"""The page stays steady while a job runs, and its keys do what they should."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import OpenPage, Studio
from tests.ui.test_page import generate, wait_until_done, write_prompt
from ui.strings import ENGLISH

MOST_SHIFT = 0.02
"""Of the page's parts, as a browser counts it, from Generate to the finished video."""

SHIFTS_JS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (entry.hadRecentInput) continue;
    const parts = entry.sources.map(({ node }) => node?.id || node?.className || node?.nodeName);
    window.shifts.push([entry.value, parts.join(' ')]);
  }
}).observe({ type: 'layout-shift' });
"""


MET_JS = """() => {
  const part = document.activeElement;
  return part?.closest('[id^="form-"]')?.id || part?.closest('[id]')?.id || part?.nodeName;
}"""


@pytest.mark.browser
@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_jumps_from_generate_to_the_finished_video(
    studio: Studio, open_page: OpenPage, width: int
) -> None:
    page = open_page(studio.address, viewport={"width": width, "height": 900})
    write_prompt(page, "a leisurely star")
    page.get_by_label("Draft · 8").check()
    page.evaluate(SHIFTS_JS)
    page.locator("#form-generate").click()
    expect(page.locator("#stage img.preview")).to_be_visible(timeout=30_000)
    wait_until_done(page)
    page.wait_for_timeout(700)  # what moves once the video has come
    shifts = page.evaluate("shifts")
    assert sum(value for value, _ in shifts) <= MOST_SHIFT, shifts


@pytest.mark.browser
def test_tab_goes_from_the_prompt_by_tools_and_settings_to_generate(
    studio: Studio, open_page: OpenPage
) -> None:
    page = open_page(studio.address)
    expect(page.locator("#form-generate")).to_be_enabled(timeout=20_000)
    page.locator("#form-prompt textarea").focus()
    met = ["form-prompt"]
    while met[-1] != "form-generate" and len(met) < 60:
        page.keyboard.press("Tab")
        met.append(page.evaluate(MET_JS))
    path = ["prompt", "prompting", "examples", "model", "seed", "dice", "num_frames", "quality", "generate"]
    first = [met.index(f"form-{name}") for name in path]
    assert first == sorted(first)


@pytest.mark.browser
def test_escape_closes_what_is_open_and_stops_no_video(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    styles = page.locator("#form-prompting").get_by_role("button", name="Styles")
    styles.click()
    expect(page.locator("#form-prompting .panel")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#form-prompting .panel")).to_be_hidden()
    expect(styles).to_be_focused()

    page.get_by_label("Drafts to pick from · 8").check()
    generate(page, "a star")
    expect(page.locator("#stage .tile video")).to_have_count(4, timeout=30_000)
    page.locator("#stage .tile").nth(1).get_by_role("button", name="Show large").click()
    expect(page.locator("#stage .tile").nth(0)).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator("#stage .tile").nth(0)).to_be_visible()

    page.locator("#compare").click()
    dialog = page.locator("dialog.compare")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()

    page.get_by_role("tab", name="Queue & History").click()
    card = page.locator("#history .card").first
    card.locator("details.menu > summary").click()
    card.get_by_role("button", name="Compare").click()
    expect(page.locator("#result .picking")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#result .picking")).to_be_hidden()

    page.get_by_role("tab", name="Text to Video").click()
    generate(page, "a leisurely star that goes on")
    page.wait_for_selector("#stage img.preview, #stage .running")
    page.keyboard.press("Escape")
    wait_until_done(page)


@pytest.mark.browser
def test_generate_is_in_sight_in_every_tab_of_a_small_window(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address, viewport={"width": 390, "height": 600})
    for title in ENGLISH.tabs.values():
        page.get_by_role("tab", name=title, exact=True).click()
        page.evaluate("scrollTo(0, 0)")
        expect(page.locator("#form-generate")).to_be_in_viewport(ratio=1.0)
