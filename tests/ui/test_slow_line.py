"""A page on a slow line: whatever a person does before the answers come, the form ends as they left it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import OpenPage, Studio
from tests.ui.slow_line import OVERTAKING, SAME, asked, settle, slowed
from tests.ui.test_page import choose_model

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("there", "key", "delays"),
    [
        ("Text to Video", "t2v", SAME),
        ("Text to Video", "t2v", OVERTAKING),
        ("Video to Video", "v2v", OVERTAKING),
    ],
)
def test_the_form_and_what_generate_asks_for_are_those_of_the_tab_in_sight(
    studio: Studio, open_page: OpenPage, there: str, key: str, delays: list[int]
) -> None:
    page = slowed(open_page(studio.address), delays)
    page.get_by_role("tab", name="Image to Video").click()
    page.wait_for_timeout(150)
    page.get_by_role("tab", name={"t2v": "Text to Video", "v2v": "Video to Video"}[key]).click()
    settle(page)
    expect(page.locator("#active textarea, #active input")).to_have_value(key)
    expect(page.locator("#form-model input")).to_have_value("Demo (built in)")
    if key == "t2v":  # which needs no file
        assert asked(studio, page).task == "t2v"


def test_the_model_chosen_last_is_the_form_s(studio: Studio, open_page: OpenPage) -> None:
    page = slowed(open_page(studio.address), OVERTAKING)
    choose_model(page, "Wan2.1 T2V 14B")
    expect(page.locator("#form-generate")).to_be_disabled()
    choose_model(page, "Wan2.1 T2V 1.3B")
    settle(page)
    expect(page.locator("#form-model input")).to_have_value("Wan2.1 T2V 1.3B")
    expect(page.locator("#form-preflight")).to_contain_text("17.6 GB")
    expect(page.get_by_label("720p")).to_be_hidden()


def test_a_model_s_answer_fills_no_other_tab(studio: Studio, open_page: OpenPage) -> None:
    page = slowed(open_page(studio.address), [2000, 100, 100])
    choose_model(page, "Wan2.1 T2V 14B")
    page.get_by_role("tab", name="Image to Video").click()
    settle(page)
    expect(page.locator("#form-model input")).to_have_value("Demo image to video (built in)")
    expect(page.locator("#form-preflight")).to_contain_text("64×64")


def test_the_resolution_chosen_last_has_its_shapes_and_shift(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    page.get_by_role("tab", name="Image to Video").click()
    settle(page)
    choose_model(page, "Wan2.1 I2V 14B 720P")
    settle(page)
    page.locator("#form-sampling_fold > button").click()
    shift = page.locator("#form-shift input[type=number]")
    expect(shift).to_have_value("5")
    slowed(page, OVERTAKING)
    for resolution, its in (("480p", "3"), ("720p", "5")):
        page.get_by_label("720p").check()
        page.get_by_label("480p").check()
        page.get_by_label(resolution).check()
        settle(page)
        expect(shift).to_have_value(its)


def test_what_is_chosen_while_a_resolution_is_on_its_way_stays(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    choose_model(page, "Wan2.1 T2V 14B")
    settle(page)
    slowed(page, SAME)
    page.get_by_label("720p").check()
    page.get_by_label("9:16").check()
    settle(page)
    expect(page.locator("#form-preflight")).to_contain_text("720×1280")

    page.get_by_role("tab", name="Image to Video").click()
    settle(page)
    choose_model(page, "Wan2.1 I2V 14B 720P")
    settle(page)
    page.locator("#form-sampling_fold > button").click()
    page.get_by_label("480p").check()
    page.locator("#form-shift input[type=number]").fill("7")
    settle(page)
    expect(page.locator("#form-shift input[type=number]")).to_have_value("7")


def test_generate_waits_until_a_choice_has_brought_what_belongs_to_it(
    studio: Studio, open_page: OpenPage
) -> None:
    page = slowed(open_page(studio.address), SAME)
    generate, example = page.locator("#form-generate"), page.locator("#form-examples button").first
    words = example.inner_text()
    example.click()
    expect(generate).to_be_disabled()
    settle(page)
    expect(page.locator("#form-prompt textarea")).to_have_value(words)

    choose_model(page, "Wan2.1 T2V 14B")
    settle(page)
    page.get_by_label("720p").check()
    expect(generate).to_be_disabled()
    settle(page)


def test_the_line_tells_of_the_form_as_it_stands(studio: Studio, open_page: OpenPage) -> None:
    page = slowed(open_page(studio.address), [100, 100, 2000, 50, 50])
    page.locator("#form-sampling_fold > button").click()
    page.locator("#form-windows input").click()
    page.get_by_role("option", name="Endless loop", exact=True).click()
    longest = page.locator("#form-num_frames input[type=range]")
    expect(longest).to_have_attribute("max", "129")
    page.locator("#form-num_frames input[type=number]").fill("49")
    settle(page)
    expect(page.locator("#form-preflight")).to_contain_text("6.1 s")


def test_steps_name_their_quality_at_once(studio: Studio, open_page: OpenPage) -> None:
    page = slowed(open_page(studio.address), [60_000])
    page.locator("#form-sampling_fold > button").click()
    steps, best = page.locator("#form-num_inference_steps input[type=number]"), page.get_by_label("Best")
    expect(best).to_be_checked()
    before = steps.input_value()
    steps.fill(str(int(before) + 1))
    expect(best).not_to_be_checked()
    steps.fill(before)
    expect(best).to_be_checked()


def test_settings_changed_one_after_the_other_are_all_kept(studio: Studio, open_page: OpenPage) -> None:
    page = slowed(open_page(studio.address), SAME)
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
