"""The fold of guidance and noise levels: its value is a request's, and it is drawn, kept and emptied."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import OpenPage, Studio
from tests.ui.test_page import wait_until_done
from ui.making import refining
from ui.strings import LANGUAGES
from wan_core.schema import GenerationRequest, InvalidRequest, knobs

ASKED = {
    "sigmas": (1.0, 0.75, 0.5),
    "end_step": 2,
    "guidance_scales": (6.0, 3.5),
    "guidance_easing": "ease-in",
    "cfg_zero": True,
    "skip_blocks": (1, 2),
    "nag_scale": 11.0,
    "fresca_high": 1.25,
}


def test_a_request_is_given_again() -> None:
    rows = refining.to_rows(GenerationRequest(**ASKED))
    assert set(rows) == set(ASKED)
    assert rows["sigmas"] == "1, 0.75, 0.5" and rows["skip_blocks"] == "1, 2"
    again = GenerationRequest.parse(refining.to_fields(rows))
    assert again == GenerationRequest(**ASKED)
    assert refining.to_rows(GenerationRequest()) == {} == refining.to_fields(None)
    assert "sigmas" not in refining.without_levels(rows) and refining.without_levels(None) == {}


def test_what_is_no_list_of_numbers_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="'1, x' is no list of numbers") as refusal:
        refining.to_fields({"sigmas": "1, x"})
    assert refusal.value.field == "sigmas"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_is_drawn_with_a_name_a_help_and_its_bounds(language: str) -> None:
    texts = LANGUAGES[language]
    assert set(refining.SECTIONS) == set(texts.guidance.sections)
    for name in refining.FIELDS:
        drawn = refining._drawn(name, texts)
        assert drawn["label"] and drawn["help"], name
        if drawn["kind"] == "number":
            assert (drawn["low"], drawn["high"]) == (knobs()[name].low, knobs()[name].high)


def open_fold(page: Page, *sections: str) -> None:
    page.locator("#form-guidance_fold > button").click()
    for section in sections:
        page.locator(".guidance summary", has_text=section).click()


@pytest.mark.browser
def test_the_fold_asks_for_what_is_set_keeps_it_and_lets_it_go(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    open_fold(page, "CFG-Zero*", "NAG", "Noise levels and steps")
    page.get_by_label("CFG-Zero*", exact=True).check()
    page.get_by_label("NAG", exact=True).fill("11")
    levels = page.get_by_label("Noise levels", exact=True)
    levels.fill("1, 0.75, 0.5, 0")
    levels.press("Tab")
    expect(page.locator(".guidance summary", has_text="CFG-Zero*")).to_contain_text("1 set")
    page.locator("#form-prompt textarea").fill("well guided")
    page.locator("#form-generate").click()
    wait_until_done(page)
    expect(page.locator("#status .prompt")).to_have_text("well guided")
    request = studio.context.store.list(limit=1)[0].request
    assert (request.cfg_zero, request.nag_scale, request.sigmas) == (True, 11.0, (1.0, 0.75, 0.5))

    page.reload()
    open_fold(page)
    expect(page.get_by_label("Noise levels", exact=True)).to_have_value("1, 0.75, 0.5")
    expect(page.get_by_label("CFG-Zero*", exact=True)).to_be_checked()
    page.get_by_role("button", name="Back to none of this").click()
    expect(page.locator(".guidance .count", has_text="set")).to_have_count(0)
    expect(page.locator("#form-preflight")).not_to_contain_text("is no")
    page.locator("#form-prompt textarea").fill("plainly guided")
    page.locator("#form-generate").click()
    expect(page.locator("#status .prompt")).to_have_text("plainly guided", timeout=30_000)
    request = studio.context.store.list(limit=1)[0].request
    assert refining.to_rows(request) == {}


@pytest.mark.browser
def test_wrong_levels_are_told_above_generate(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    open_fold(page, "Noise levels and steps")
    levels = page.get_by_label("Noise levels", exact=True)
    levels.fill("0.5, 1")
    levels.press("Tab")
    expect(page.locator("#form-preflight")).to_contain_text("1 is not below the level before, 0.5")
    levels.fill("")
    levels.press("Tab")
    expect(page.locator("#form-preflight")).not_to_contain_text("is not below")
