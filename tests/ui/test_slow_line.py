"""A page on a slow line: whatever a person does before the answers come, the form ends as they left it.

The page's own ``fetch`` holds answers back, by turns for longer or shorter, so that they may also overtake
each other.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import OpenPage, Studio
from tests.ui.test_page import choose_model
from wan_core.schema import GenerationRequest

pytestmark = pytest.mark.browser

_SLOW_JS = """(delays) => {
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
_SAME = [600]
_OVERTAKING = [1500, 100, 300]


@pytest.fixture
def slow(studio: Studio, open_page: OpenPage) -> Callable[[list[int]], Page]:
    def slow(delays: list[int]) -> Page:
        page = open_page(studio.address)
        expect(page.locator("#form-generate")).to_be_enabled()
        page.evaluate(_SLOW_JS, delays)
        return page

    return slow


def settle(page: Page) -> None:
    """Wait until Generate can be clicked and half a second has passed in which nothing was on its way."""
    expect(page.locator("#form-generate")).to_be_enabled()
    page.wait_for_function(_QUIET_JS, polling=50)


def asked(studio: Studio, page: Page) -> GenerationRequest:
    """What Generate asks for, as the form stands."""
    before = studio.context.store.list(limit=1)
    page.locator("#form-prompt textarea").fill("a red circle moving right")
    page.locator("#form-generate").click()
    page.wait_for_function("() => !window.held")
    newest = studio.context.store.list(limit=1)
    assert newest and newest != before
    return newest[0].request


@pytest.mark.parametrize("delays", [_SAME, _OVERTAKING], ids=["same", "overtaking"])
@pytest.mark.parametrize("there", ["Text to Video", "Video to Video"])
def test_the_form_is_that_of_the_tab_in_sight(
    slow: Callable[[list[int]], Page], delays: list[int], there: str
) -> None:
    page = slow(delays)
    page.get_by_role("tab", name="Image to Video").click()
    page.wait_for_timeout(150)
    page.get_by_role("tab", name=there).click()
    settle(page)
    key = {"Text to Video": "t2v", "Video to Video": "v2v"}[there]
    expect(page.locator("#active textarea, #active input")).to_have_value(key)
    expect(page.locator("#form-model input")).to_have_value("Demo (built in)")


def test_generate_asks_for_what_the_tab_in_sight_makes(
    studio: Studio, slow: Callable[[list[int]], Page]
) -> None:
    page = slow(_SAME)
    page.get_by_role("tab", name="Image to Video").click()
    page.wait_for_timeout(150)
    page.get_by_role("tab", name="Text to Video").click()
    settle(page)
    assert asked(studio, page).task == "t2v"


@pytest.mark.parametrize("delays", [_SAME, _OVERTAKING], ids=["same", "overtaking"])
def test_the_model_chosen_last_is_the_form_s(slow: Callable[[list[int]], Page], delays: list[int]) -> None:
    page = slow(delays)
    choose_model(page, "Wan2.1 T2V 14B")
    expect(page.locator("#form-generate")).to_be_disabled()
    choose_model(page, "Wan2.1 T2V 1.3B")
    settle(page)
    expect(page.locator("#form-model input")).to_have_value("Wan2.1 T2V 1.3B")
    expect(page.locator("#form-preflight")).to_contain_text("17.6 GB")
    expect(page.get_by_label("720p")).to_be_hidden()


def test_a_model_s_answer_fills_no_other_tab(slow: Callable[[list[int]], Page]) -> None:
    page = slow([2000, 100, 100])
    choose_model(page, "Wan2.1 T2V 14B")
    page.get_by_role("tab", name="Image to Video").click()
    settle(page)
    expect(page.locator("#form-model input")).to_have_value("Demo image to video (built in)")
    expect(page.locator("#form-preflight")).to_contain_text("64×64")


@pytest.mark.parametrize("delays", [_SAME, _OVERTAKING], ids=["same", "overtaking"])
def test_the_resolution_chosen_last_has_its_shapes_and_shift(
    slow: Callable[[list[int]], Page], delays: list[int]
) -> None:
    page = slow(delays)
    page.get_by_role("tab", name="Image to Video").click()
    settle(page)
    choose_model(page, "Wan2.1 I2V 14B 720P")
    settle(page)
    page.locator("#form-sampling_fold > button").click()
    shift = page.locator("#form-shift input[type=number]")
    expect(shift).to_have_value("5")
    for resolution, its in (("480p", "3"), ("720p", "5")):
        page.get_by_label("720p").check()
        page.get_by_label("480p").check()
        page.get_by_label(resolution).check()
        settle(page)
        expect(shift).to_have_value(its)


def test_the_line_tells_of_the_form_as_it_stands(slow: Callable[[list[int]], Page]) -> None:
    page = slow([100, 100, 2000, 50, 50])
    page.locator("#form-sampling_fold > button").click()
    page.locator("#form-windows input").click()
    page.get_by_role("option", name="Endless loop", exact=True).click()
    longest = page.locator("#form-num_frames input[type=range]")
    expect(longest).to_have_attribute("max", "129")
    page.locator("#form-num_frames input[type=number]").fill("49")
    settle(page)
    expect(page.locator("#form-preflight")).to_contain_text("6.1 s")


def test_steps_name_their_quality_at_once(slow: Callable[[list[int]], Page]) -> None:
    page = slow([60_000])
    page.locator("#form-sampling_fold > button").click()
    steps, best = page.locator("#form-num_inference_steps input[type=number]"), page.get_by_label("Best")
    expect(best).to_be_checked()
    before = steps.input_value()
    steps.fill(str(int(before) + 1))
    expect(best).not_to_be_checked()
    steps.fill(before)
    expect(best).to_be_checked()


def test_settings_changed_one_after_the_other_are_all_kept(
    studio: Studio, slow: Callable[[list[int]], Page]
) -> None:
    page = slow(_SAME)
    page.get_by_role("tab", name="Settings").click()
    page.wait_for_function("() => !window.held")
    before = studio.context.settings
    assert (before.vae_tiling, before.text_encoder) == ("auto", "auto")
    for name, value in (("vae_tiling", "on"), ("text_encoder", "int8"), ("vae_tiling", "off")):
        page.locator(f"#settings-{name} input[value={value}]").check()
        page.wait_for_timeout(100)
    page.wait_for_function("() => !window.held")
    page.wait_for_timeout(200)
    page.wait_for_function("() => !window.held")
    kept = studio.context.settings
    assert (kept.vae_tiling, kept.text_encoder) == ("off", "int8")
    expect(page.locator("#settings-vae_tiling input[value=off]")).to_be_checked()
