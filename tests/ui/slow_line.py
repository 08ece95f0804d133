"""A slow line: the page's own ``fetch`` holds answers back.

By turns for longer or shorter, so that they may also overtake each other.
"""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.jobs.conftest import wait_for
from tests.ui.conftest import Studio
from wan_core.schema import GenerationRequest

SLOW_JS = """(delays) => {
  const fetched = window.fetch.bind(window);
  let turn = 0;
  window.held = 0;
  window.fetch = async (...given) => {
    if (!String(given[0]?.url ?? given[0]).includes("/run/predict")) return fetched(...given);
    window.held += 1;
    const answer = await fetched(...given);
    await new Promise((done) => setTimeout(done, delays[turn++ % delays.length]));
    window.held -= 1;
    return answer;
  };
}"""
_QUIET_JS = """() => {
  if (window.held) window.since = 0;
  else window.since ||= performance.now();
  return window.since && performance.now() - window.since > 500;
}"""
SAME = [600]
OVERTAKING = [1500, 100, 300]


def slowed(page: Page, delays: list[int]) -> Page:
    """A page whose form is filled, and whose answers take so many milliseconds longer from now on."""
    expect(page.locator("#form-generate")).to_be_enabled()
    page.evaluate(SLOW_JS, delays)
    return page


def settle(page: Page) -> None:
    """Wait until Generate can be clicked and half a second has passed in which nothing was on its way."""
    expect(page.locator("#form-generate")).to_be_enabled()
    page.wait_for_function(_QUIET_JS, polling=50)


def asked(studio: Studio, page: Page) -> GenerationRequest:
    """What Generate asks for, as the form stands."""
    before = studio.context.store.list(limit=1)
    page.locator("#form-prompt textarea").fill("a red circle moving right")
    page.locator("#form-generate").click()
    wait_for(lambda: [job.id for job in studio.context.store.list(limit=1)] != [job.id for job in before])
    return studio.context.store.list(limit=1)[0].request
