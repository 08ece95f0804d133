"""Styles: put on, known by their words, taken off."""

from __future__ import annotations

import pytest

from wan_core.prompts.styles import BUILT_IN, Style, toggle, unwrap, worn_by, wrap

STYLES = (
    Style("film", "{prompt}, on film"),
    Style("old", "An old picture: {prompt}.", "{prompt}, colour"),
    Style("calm", negative_prompt="{prompt}, shaking"),
)


@pytest.mark.parametrize(
    ("template", "text", "wrapped"),
    [
        ("{prompt}, on film", "a cat", "a cat, on film"),
        ("{prompt}, on film", "", "on film"),
        ("An old picture: {prompt}.", "a cat", "An old picture: a cat."),
        ("{prompt}", "", ""),
    ],
)
def test_words_are_put_around_a_prompt_and_taken_off(template: str, text: str, wrapped: str) -> None:
    assert wrap(template, text) == wrapped
    assert unwrap(template, wrapped) == text


def test_a_text_without_the_words_wears_nothing() -> None:
    assert unwrap("{prompt}, on film", "a cat on film") is None
    assert worn_by(STYLES, "a cat", "blurry") == ([], "a cat", "blurry")


def test_styles_lie_around_each_other_and_come_off_in_any_order() -> None:
    film = toggle(STYLES, "film", "a cat", "blurry")
    both = toggle(STYLES, "old", *film)
    assert both == ("An old picture: a cat, on film.", "blurry, colour")
    assert [style.name for style in worn_by(STYLES, *both)[0]] == ["film", "old"]
    assert toggle(STYLES, "film", *both) == ("An old picture: a cat.", "blurry, colour")
    assert toggle(STYLES, "old", *both) == film
    assert toggle(STYLES, "film", *film) == ("a cat", "blurry")
    assert toggle(STYLES, "unknown", *film) == film


def test_a_style_of_the_negative_prompt_alone() -> None:
    calm = toggle(STYLES, "calm", "a cat", "")
    assert calm == ("a cat", "shaking")
    assert toggle(STYLES, "calm", *calm) == ("a cat", "")


def test_a_changed_negative_prompt_does_not_hide_a_style() -> None:
    assert toggle(STYLES, "old", "An old picture: a cat.", "my own words") == ("a cat", "my own words")


@pytest.mark.parametrize("style", BUILT_IN, ids=lambda style: style.name)
def test_built_in_styles_come_off_again(style: Style) -> None:
    worn = toggle(BUILT_IN, style.name, "a cat", "blurry")
    assert worn[0] != "a cat" and worn_by(BUILT_IN, *worn) == ([style], "a cat", "blurry")


def test_every_line_wears_a_style_of_its_own() -> None:
    some = "a cat, on film\n\na dog"
    every = toggle(STYLES, "film", some, "", lines=True)
    assert every == ("a cat, on film\na dog, on film", "")
    assert toggle(STYLES, "film", *every, lines=True) == ("a cat\na dog", "")
    assert toggle(STYLES, "film", "a cat\nsleeps", "") == ("a cat\nsleeps, on film", "")
    assert toggle(STYLES, "film", "", "", lines=True) == ("on film", "")
