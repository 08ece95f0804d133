"""Long videos in the form: one box of presets and words, and a slider that goes as far as windows do."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import OpenPage, Studio
from tests.ui.test_form import DEMO, T2V, WAN_14B, values
from ui.making import form
from ui.making.guess import forward_flops, guess_seconds
from ui.recipes.deep_links import link_to
from ui.strings import ENGLISH
from wan_core.schema import GenerationRequest, InvalidRequest
from wan_core.schema.windows import WindowOptions


def request(**fields: object) -> GenerationRequest:
    return GenerationRequest.parse({"model": "demo", "prompt": "a", **fields})


def test_every_preset_is_one_that_can_be_asked_for() -> None:
    built = form.control("windows", None, "form", ENGLISH)
    assert [title for title, _ in built.choices] == [
        "Off",
        "Windows, fixed",
        "Windows, moving",
        "Endless loop",
        "Windows, as in DiffSynth-Studio",
    ]
    for _, text in built.choices:
        asked = form.to_request(T2V, values(windows=text))
        assert str(asked.windows or "") == text
        assert form.values_of(asked)["windows"] == text


def test_words_of_ones_own_can_be_typed_and_wrong_ones_are_refused() -> None:
    text = "uniform frames=13 overlap=4 stride=8"
    assert form.to_request(T2V, values(windows=text)).windows == WindowOptions.read(text)
    with pytest.raises(InvalidRequest, match="no schedule of windows"):
        form.to_request(T2V, values(windows="statik"))


def test_the_slider_goes_eight_times_as_far() -> None:
    assert form.slider_range("num_frames", WAN_14B, windows=True) == (17, 641)
    assert form.slider_range("num_frames", DEMO, windows=True) == (9, 129)
    assert form.slider_range("fps", DEMO, windows=True) == form.slider_range("fps", DEMO)


def test_a_link_says_it_in_words() -> None:
    assert "windows=static+overlap%3D8" in link_to(request(windows="static overlap=8"))


def test_the_guess_counts_windows_and_not_the_clip() -> None:
    """Of 49 frames, 13 latent ones, four windows of 5: as many calls of the length that the model has."""
    short, long, through = (
        form.to_request(T2V, values(num_frames=frames, windows=text))
        for frames, text in ((17, ""), (49, ""), (49, "static"))
    )
    assert forward_flops(through, DEMO) == 4 * forward_flops(short, DEMO)
    assert forward_flops(through, DEMO) < 2 * forward_flops(long, DEMO)
    assert guess_seconds(through, DEMO, "CPU") > guess_seconds(short, DEMO, "CPU")
    cached = {"step_cache": "fast", "num_frames": 49}
    asked = [form.to_request(T2V, values(windows=text, **cached)) for text in ("static", "uniform")]
    still, moving = (guess_seconds(one, DEMO, "CPU") for one in asked)
    assert still < moving


@pytest.mark.browser
def test_a_loop_beyond_the_models_own_length_is_asked_for(studio: Studio, open_page: OpenPage) -> None:
    page: Page = open_page(studio.address)
    longest = page.locator("#form-num_frames input[type=range]")
    expect(longest).to_have_attribute("max", "25", timeout=30_000)
    page.locator("#form-sampling_fold > button").click()
    page.locator("#form-windows input").click()
    page.get_by_role("option", name="Endless loop", exact=True).click()
    expect(longest).to_have_attribute("max", "129", timeout=30_000)
    page.locator("#form-num_frames input[type=number]").fill("49")
    page.locator("#form-prompt textarea").fill("a red circle moving right")
    expect(page.locator("#form-preflight")).to_contain_text("6.1 s", timeout=30_000)
    page.locator("#form-generate").click()
    expect(page.locator("#status")).to_contain_text("6.1 s", timeout=30_000)
    asked = studio.context.store.list(limit=1)[0].request
    assert (asked.windows.schedule, asked.num_frames) == ("looped", 49)
