"""What a person does before the page is ready: it is kept, and nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ui.conftest import Studio
from tests.ui.test_page import wait_until_done

pytestmark = pytest.mark.browser

SLOW = """
const fetched = window.fetch;
window.fetch = async (address, options) => {
  const answer = await fetched(address, options);
  if (String(address).includes('predict')) await new Promise((done) => setTimeout(done, 600));
  return answer;
};
"""
AT_ONCE = """
window.clicks = [];
const early = new MutationObserver(() => {
  const field = document.querySelector(FIELD), button = document.querySelector('#form-generate');
  if (!field || !button) return;
  early.disconnect();
  requestAnimationFrame(() => {  // the first picture that anybody sees of the page
    field.value = VALUE;
    field.dispatchEvent(new Event('input', { bubbles: true }));
    window.clicks.push(button.disabled);
    button.click();
  });
});
early.observe(document, { childList: true, subtree: true });
"""


def typed_at_once(field: str, value: str) -> str:
    return AT_ONCE.replace("FIELD", repr(field)).replace("VALUE", repr(value))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a browser that is slow to hear from the studio."""
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(SLOW)
    yield page
    context.close()


def test_a_prompt_typed_at_once_is_kept_and_generate_waits(studio: Studio, page: Page) -> None:
    page.add_init_script(typed_at_once("#form-prompt textarea", "a red circle, typed early"))
    page.goto(studio.address)
    page.wait_for_selector("#form-generate[disabled]")
    page.locator("#form-generate").click()  # waits until it can be clicked
    expect(page.locator("#status .prompt")).to_have_text("a red circle, typed early", timeout=30_000)
    expect(page.locator("#form-prompt textarea")).to_have_value("a red circle, typed early")
    expect(page.locator("#form-notice .alert")).to_have_count(0)
    assert page.evaluate("clicks") == [True]
    wait_until_done(page)
    assert [job.request.prompt for job in studio.context.store.list()] == ["a red circle, typed early"]


def test_the_other_settings_come_back_beside_an_early_prompt(studio: Studio, page: Page) -> None:
    page.goto(studio.address)
    page.get_by_label("Balanced · 12").check()
    page.locator("#form-prompt textarea").fill("a blue star")
    page.locator("#form-generate").click()
    expect(page.locator("#status .prompt")).to_have_text("a blue star", timeout=30_000)
    wait_until_done(page)
    page.add_init_script(typed_at_once("#form-prompt textarea", "a green star"))
    page.reload()
    expect(page.locator("#form-generate")).to_be_enabled(timeout=30_000)
    expect(page.get_by_label("Balanced · 12")).to_be_checked()
    expect(page.locator("#form-prompt textarea")).to_have_value("a green star")


def test_a_form_that_was_set_at_once_stays_as_it_was_set(studio: Studio, page: Page) -> None:
    page.add_init_script(typed_at_once("#form-seed input", "77"))
    page.goto(studio.address)
    page.locator("#form-prompt textarea").fill("a seeded star")
    page.locator("#form-generate").click()
    expect(page.locator("#status .prompt")).to_have_text("a seeded star", timeout=30_000)
    assert studio.context.store.list(limit=1)[0].request.seed == 77
