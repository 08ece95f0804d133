"""The bar below the prompt, in Chromium and without it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page, expect

from tests.prompts.language_models import Endpoint, serve_endpoint
from tests.ui.conftest import OpenPage, Studio, open_studio
from tests.ui.test_page import wait_until_done, write_prompt
from ui.context import Context
from ui.making.examples import FOLDER
from ui.making.prompting import Doors, count_tokens
from wan_core.catalog import find_model
from wan_core.models.umt5.tokenizer import PromptTokenizer
from wan_core.prompts.presets import PresetStore

HOSTILE = "<img src=x onerror=alert(1)>"


def about(**changes: object) -> dict:
    return {"tab": "t2v", "model": "demo", "prompt": "", "negative": "", "lines": False, **changes}


def test_tokens_are_those_of_the_models_own_tokenizer(context: Context) -> None:
    spec = find_model("demo")
    tokenizer = PromptTokenizer((spec.folder / spec.tokenizer.files[0]).parent)
    text = "a red circle moving right 一个红色的圆"
    assert count_tokens(context, spec, text) == tokenizer.count(text) == len(tokenizer.encode(text))
    assert count_tokens(context, find_model("wan2.1-t2v-1.3b"), text) is None  # not on this machine
    look = Doors(context).look(about(prompt=text))
    assert look["length"] == {"count": tokenizer.count(text), "limit": 64, "about": False}
    longest = Doors(context).look(about(prompt=f"a\n{text}\n\nb", lines=True))
    assert longest["length"]["count"] == tokenizer.count(text)
    assert Doors(context).look(about(prompt="a {red|red} __x__"))["length"] == {
        "error": "Prompt: there is no wildcard file for __x__. "
        "Put x.txt into the folder wildcards of the studio, with an option in each line."
    }


def test_a_visitor_may_look_and_nothing_else(context: Context) -> None:
    object.__setattr__(context, "owned", False)
    doors = Doors(context)
    assert doors.open("look", {}, about())["styles"][0]["name"] == "Cinematic"
    for door in ("save-style", "delete-style", "delete-preset", "export", "import", "enhance", "stop"):
        asked = {"name": "mine", "prompt": "x", "text": "{}"}
        assert "this is for the owner of the studio" in doors.open(door, asked, about())["error"]
    assert not context.settings.presets_dir.exists()
    assert doors.open("nonsense", {}, about()) == {"door": "nonsense"}


@pytest.mark.parametrize("asked", [{}, {"name": 3, "prompt": []}, {"name": "../x", "prompt": "y"}])
def test_nonsense_is_answered_with_a_sentence(context: Context, asked: dict) -> None:
    for door in ("save-style", "delete-style", "delete-preset", "import", "enhance"):
        assert re.search(r"\.$", Doors(context).open(door, asked, about())["error"])
    assert not list(context.settings.home.rglob("*x*.json"))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with serve_endpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    home = tmp_path_factory.mktemp("studio")
    (home / "wildcards").mkdir()
    (home / "wildcards" / "shape.txt").write_text("circle\ncircle\n")
    studio = open_studio(home)
    yield studio
    studio.close()


def bar(page: Page, name: str) -> None:
    page.locator("#form-prompting .helpers button", has_text=name).first.click()


@pytest.mark.browser
def test_styles_are_seen_in_the_prompt_and_come_off(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    prompt = page.locator("#form-prompt textarea")
    tokens = page.locator("#form-prompting .tokens")
    write_prompt(page, "a red circle")
    expect(tokens).to_have_text(re.compile(r"^\d+ of 64 tokens$"))
    bar(page, "Styles")
    film = page.locator("#form-prompting .style", has_text="Black and white")
    film.click()
    expect(prompt).to_have_value("a red circle, black and white film, high contrast, fine grain")
    expect(film).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#form-prompting .helpers")).to_contain_text("Styles · 1")
    film.click()
    expect(prompt).to_have_value("a red circle")
    expect(film).to_have_attribute("aria-pressed", "false")
    page.locator("#form-prompting summary").click()
    page.locator("#form-prompting .style-name").fill("Neon")
    page.locator("#form-prompting .style-words").fill(f"{{prompt}} {HOSTILE}")
    page.locator("#form-prompting .panel .save").click()
    page.locator("#form-prompting .style", has_text="Neon").click()
    expect(prompt).to_have_value(f"a red circle {HOSTILE}")
    write_prompt(page, "word " * 600)
    expect(page.locator("#form-prompting .warning")).to_contain_text("The model reads the first 64 of")


@pytest.mark.browser
def test_a_preset_sets_the_form_and_leaves_the_prompt(
    studio: Studio, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(studio.address)
    middle = page.locator("#form-quality label", has_text="Balanced")
    best = page.locator("#form-quality label", has_text="Best")
    middle.click()
    bar(page, "Presets")
    page.locator("#form-prompting .preset-name").fill("Quick one")
    page.locator("#form-prompting .panel .save").click()
    preset = page.locator("#form-prompting .preset", has_text="Quick one")
    expect(preset).to_be_visible()
    best.click()
    write_prompt(page, "a blue star")
    preset.click()
    expect(page.locator("#form-notice")).to_contain_text("The form is set as in “Quick one”.")
    expect(middle.locator("input")).to_be_checked()
    expect(page.locator("#form-prompt textarea")).to_have_value("a blue star")
    with page.expect_download() as exported:
        page.locator("#form-prompting button", has_text="Export all").click()
    exported.value.save_as(tmp_path / "all.json")
    assert json.loads((tmp_path / "all.json").read_text())["presets"]["t2v"].keys() == {"Quick one"}
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete Quick one").click()
    expect(preset).to_have_count(0)
    page.locator('#form-prompting input[type="file"]').set_input_files(tmp_path / "all.json")
    expect(preset).to_be_visible()
    page.get_by_role("tab", name="Image to Video").click()
    expect(preset).to_have_count(0)
    assert PresetStore(studio.context.settings.presets_dir).names("t2v") == ["Quick one"]


@pytest.mark.browser
def test_wildcards_are_drawn_for_the_video_and_kept_in_the_request(
    studio: Studio, open_page: OpenPage
) -> None:
    page = open_page(studio.address)
    write_prompt(page, "a {red|red} ")
    bar(page, "Wildcards")
    page.locator("#form-prompting .chips button", has_text="__shape__").click()
    expect(page.locator("#form-prompt textarea")).to_have_value("a {red|red} __shape__")
    expect(page.locator("#form-prompting .tokens")).to_have_text(re.compile("^≈"))
    page.locator("#form-generate").click()
    wait_until_done(page)
    job = studio.context.store.list(limit=1)[0]
    assert job.request.prompt == "a {red|red} __shape__"
    assert job.result.request.prompt == "a red circle"
    expect(page.locator("#status .prompt")).to_have_text("a red circle")
    write_prompt(page, "a __colour__ star")
    page.locator("#form-generate").click()
    expect(page.locator("#form-notice .alert")).to_contain_text("there is no wildcard file for __colour__")


@pytest.mark.browser
def test_a_written_out_prompt_is_offered_used_and_undone(
    studio: Studio, open_page: OpenPage, endpoint: Endpoint
) -> None:
    page = open_page(studio.address)
    prompt, offer = page.locator("#form-prompt textarea"), page.locator("#form-prompting .offer")
    write_prompt(page, "a fox")
    bar(page, "Enhance")
    expect(page.locator("#form-prompting .told")).to_contain_text("Choose in Settings who writes prompts out")
    values = {"kind": "endpoint", "url": endpoint.url, "endpoint_model": "tiny", "key": "sk-secret"}
    studio.context.enhancer.kept.change(values)
    endpoint.text = f"A red fox {HOSTILE}"
    write_prompt(page, "a fox ")
    expect(page.locator("#form-prompting .enhance")).to_have_attribute("title", re.compile(r"127\.0\.0\.1"))
    bar(page, "Enhance")
    expect(offer).to_contain_text(f"A red fox {HOSTILE}")
    expect(prompt).to_have_value("a fox ")
    offer.get_by_role("button", name="Use it").click()
    expect(prompt).to_have_value(endpoint.text)
    page.locator("#form-prompting .undo").click()
    expect(prompt).to_have_value("a fox ")
    endpoint.status = 500
    bar(page, "Enhance")
    expect(page.locator("#form-prompting .alert")).to_contain_text("answered with error 500")
    expect(prompt).to_have_value("a fox ")
    assert "sk-secret" not in page.content()


@pytest.mark.browser
def test_several_pictures_and_lines_become_a_video_each(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    page.get_by_role("tab", name="Image to Video").click()
    fold = page.locator("#form-sampling_fold > button")
    fold.click()
    pictures = [FOLDER / "circle-first.png", FOLDER / "star-first.png"]
    page.locator('#form-images input[type="file"]').set_input_files(pictures)
    write_prompt(page, "a red star\na blue star")
    page.locator("#form-lines input").check()
    expect(page.locator("#form-preflight")).to_contain_text("4 videos")
    before = {job.id for job in studio.context.store.list(limit=50)}
    page.locator("#form-generate").click()
    expect(page.locator("#result")).to_contain_text("blue star", timeout=30_000)
    expect(page.locator(".chip.queue")).to_have_text("Queue empty", timeout=60_000)
    made = [job.request for job in studio.context.store.list(limit=50) if job.id not in before]
    assert len({(request.prompt, request.image) for request in made}) == len(made) == 4
    assert {request.prompt for request in made} == {"a red star", "a blue star"}
    page.get_by_role("tab", name="Text to Video").click()
    expect(page.locator("#form-images")).to_have_count(0)


@pytest.mark.browser
def test_the_owner_says_who_writes_and_the_key_is_never_told(
    open_page: OpenPage, endpoint: Endpoint, tmp_path: Path
) -> None:
    studio = open_studio(tmp_path)
    page = open_page(studio.address)
    told: list[str] = []
    page.on("response", lambda response: told.append(response.url) if "sk-top" in _text(response) else None)
    page.get_by_role("tab", name="Settings").click()
    writer = page.locator("#settings-enhancer")
    writer.get_by_label("An OpenAI-compatible endpoint").check()
    writer.locator('[name="url"]').fill("ftp://host")
    writer.locator('[name="key"]').fill("sk-top")
    writer.locator(".save").click()
    expect(writer.locator(".alert")).to_contain_text("Address: Write http://... or https://...")
    writer.get_by_label("An OpenAI-compatible endpoint").check()
    writer.locator('[name="url"]').fill(endpoint.url)
    writer.locator('[name="endpoint_model"]').fill("tiny")
    writer.locator('[name="key"]').fill("sk-top")
    writer.locator(".save").click()
    expect(writer).to_contain_text("Saved; it counts at once.")
    expect(writer.locator('[name="key"]')).to_have_value("")
    expect(writer).to_contain_text("A key is kept.")
    assert studio.context.enhancer.kept.current.key.get_secret_value() == "sk-top"
    page.reload()
    page.get_by_role("tab", name="Settings").click()
    expect(writer.locator('[name="url"]')).to_have_value(endpoint.url)
    assert "sk-top" not in page.content() and told == []
    writer.get_by_role("button", name="Forget the key").click()
    expect(writer.get_by_role("button", name="Forget the key")).to_be_hidden()
    assert "sk-top" not in studio.context.enhancer.kept.path.read_text()
    studio.close()


def _text(response: object) -> str:
    try:
        return response.text()
    except Error:  # a stream, or a body that is gone
        return ""
