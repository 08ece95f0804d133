"""Words that are drawn by the seed."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from wan_core.prompts.templates import draw, draw_request, is_template, require_wildcards
from wan_core.prompts.wildcards import list_wildcards, read_options
from wan_core.schema import GenerationRequest, InvalidRequest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "wildcards"
    (folder / "places").mkdir(parents=True)
    (folder / "animal.txt").write_text("\ufeff# three of them\ncat\n\n  dog \nred {fox|squirrel}\n", "utf-8")
    (folder / "places" / "far_away.txt").write_text("the moon\n", "utf-8")
    (folder / "颜色.txt").write_text("红色\n", "utf-8")
    (folder / "round.txt").write_text("__round__ again\n", "utf-8")
    (folder / "empty.txt").write_text("# nothing\n\n", "utf-8")
    return folder


def test_the_same_seed_draws_the_same_words(folder: Path) -> None:
    text = "a __animal__ and a {red| blue |} ball on __places/far_away__"
    drawn = [draw(text, seed, folder) for seed in range(200)]
    assert drawn == [draw(text, seed, folder) for seed in range(200)]
    assert draw("{a|b|c|d|e}", 7, folder) == "e"  # on every machine and in every version
    animals = {words.split(" and a ")[0] for words in drawn}
    assert animals == {"a cat", "a dog", "a red fox", "a red squirrel"}
    assert {words.split(" and a ")[1].split("ball")[0] for words in drawn} == {"red ", "blue ", " "}
    assert all(words.endswith("on the moon") for words in drawn)


def test_every_option_is_as_likely(folder: Path) -> None:
    counts = Counter(draw("{a|b|c|d}", seed, folder) for seed in range(4000))
    assert set(counts) == set("abcd")
    assert all(900 < count < 1100 for count in counts.values())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{a {b|b}|a {b|b}}", "a b"),
        ("{__颜色__|__颜色__} {x}", "红色 {x}"),
        ("a|b {a b} _x_ __ x __ {", "a|b {a b} _x_ __ x __ {"),
        ("__places/far_away____颜色__", "the moon红色"),
    ],
)
def test_what_is_drawn_and_what_stays(folder: Path, text: str, words: str) -> None:
    assert draw(text, 3, folder) == words


def test_what_comes_out_holds_nothing_more_to_draw(folder: Path) -> None:
    (folder / "half.txt").write_text("{a\n", "utf-8")
    for seed in range(20):
        words = draw("__half__|b} {c|{d|__animal__}}", seed, folder)
        assert not is_template(words)
        assert words.split()[0] in ("a", "b")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("__nowhere__", "prompt: there is no wildcard file for __nowhere__. Put nowhere.txt into the folder"),
        ("__round__", "prompt: drawing its words does not end"),
        ("__empty__", "the wildcard file empty.txt is empty"),
    ],
)
def test_what_cannot_be_drawn_is_refused(folder: Path, text: str, complaint: str) -> None:
    with pytest.raises(InvalidRequest, match=complaint.replace(".", r"\.")):
        draw(text, 1, folder)


def test_names_lead_nowhere_else(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret\n")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    assert draw("__../secret__ __/etc/passwd__", 1, folder) == "__../secret__ __/etc/passwd__"
    with pytest.raises(InvalidRequest, match="cannot be read"):
        read_options(folder, "link")
    with pytest.raises(InvalidRequest, match="no wildcard file"):
        read_options(folder, "a/" * 29 + "b")
    assert list_wildcards(folder) == ["animal", "empty", "link", "places/far_away", "round", "颜色"]
    assert list_wildcards(tmp_path / "none") == []


def test_hostile_texts_take_no_time(folder: Path) -> None:
    start = time.perf_counter()
    for text in ("{" + "|" * 90_000, "__a/" * 20_000, "{a|" * 30_000, "_" * 90_000):
        assert draw(text, 1, folder) == text
    assert time.perf_counter() - start < 3


def test_a_request_keeps_its_template_and_the_result_has_the_words(folder: Path) -> None:
    request = GenerationRequest(prompt="a {red|blue} __animal__", negative_prompt="{x|x}", seed=5)
    drawn = draw_request(request, folder)
    assert drawn.prompt == draw(request.prompt, 5, folder)
    assert (drawn.negative_prompt, drawn.seed) == ("x", 5)
    assert draw_request(drawn, folder) is drawn
    assert request.prompt == "a {red|blue} __animal__"
    with pytest.raises(InvalidRequest, match="negative_prompt: there is no wildcard file for __y__"):
        require_wildcards(GenerationRequest(negative_prompt="{__y__|a}"), folder)
