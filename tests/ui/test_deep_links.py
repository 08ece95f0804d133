"""Links into the page, and what is remembered on the disk."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import OpenPage, Studio, open_studio
from tests.ui.test_page import generate, wait_until_done
from ui.context import Context
from ui.recipes.deep_links import Link, ignored_words, link_to, read_link
from ui.tabs.making_tab import MakingTab
from ui.tabs.plans import TABS
from wan_core.manager.kept_forms import MAX_BYTES, keep_form, kept_forms
from wan_core.schema import GenerationRequest, Settings
from wan_core.schema.lora import LoraUse


@pytest.fixture
def tabs(context: Context) -> dict[str, MakingTab]:
    return {plan.key: MakingTab(context, plan) for plan in TABS}


@pytest.mark.parametrize(
    "request_",
    [
        GenerationRequest(
            model="demo", prompt="a & b = c? 圆 #1", seed=3, negative_prompt="", ping_pong=True
        ),
        GenerationRequest(model="demo", task="t2i", prompt="x", image_format="webp", guidance_scale=2.5),
        GenerationRequest(model="demo-vace", task="control", kept_frames=(0, -1), region=(0, 0.5, 1, 1)),
        GenerationRequest(
            model="wan2.1-t2v-1.3b",
            loras=(
                LoraUse(file="sub/a.safetensors", strength=0.5, blocks="0-3"),
                LoraUse(file="b.safetensors"),
            ),
        ),
    ],
)
def test_a_link_fills_the_form_as_it_was(request_: GenerationRequest, tabs: dict[str, MakingTab]) -> None:
    link = read_link(link_to(request_), tabs)
    assert link.request == request_
    assert (link.ignored, link.job) == ((), None)


def test_a_link_names_no_files(tabs: dict[str, MakingTab]) -> None:
    request = GenerationRequest(model="demo-image", task="i2v", prompt="x", image="0" * 32 + ".png")
    link = read_link(link_to(request), tabs)
    assert (link.tab, link.request) == ("i2v", request.model_copy(update={"image": None}))
    assert read_link(f"?image={'0' * 32}.png", tabs) == Link(ignored=("image",))


@pytest.mark.parametrize(
    ("search", "tab", "model", "ignored"),
    [
        ("", None, None, ()),
        (None, None, None, ()),
        ("?tab=i2v", "i2v", None, ()),
        ("?tab=nowhere", None, None, ("tab",)),
        ("?__theme=dark&lang=zh&view=api", None, None, ()),
        ("?model=demo-image", "i2v", "demo-image", ()),
        ("?tab=flf2v&model=demo-image&prompt=x", "flf2v", "demo-image", ()),
        ("?tab=i2v&model=demo&prompt=x", "i2v", None, ("model",)),
        ("?model=another&prompt=x", "t2v", "demo", ("model",)),
        ("?prompt=x&task=v2v", "v2v", None, ()),
        ("?prompt=x&num_inference_steps=9999&seed=x&shape=round", "t2v", "demo", None),
        ("?prompt=x&loras=..%2Fa.safetensors", "t2v", "demo", ("loras",)),
        ("?" + "&".join(f"a{n}=1" for n in range(200)), None, None, ("?",)),
        ("?prompt=%00%ff", None, None, ("prompt",)),
    ],
)
def test_what_a_link_says(
    search: str,
    tab: str | None,
    model: str | None,
    ignored: tuple[str, ...] | None,
    tabs: dict[str, MakingTab],
) -> None:
    link = read_link(search, tabs)
    assert link.tab == tab
    assert model is None or link.request.model == model
    assert link.ignored == ignored if ignored is not None else len(link.ignored) == 3


def test_what_is_left_out_is_one_short_sentence() -> None:
    link = Link(ignored=("a" * 500, *(f"b{n}" for n in range(50))))
    assert len(ignored_words(link, "Left out: {names}.")) < 120
    assert ignored_words(Link(), "Left out: {names}.") == ""


def test_forms_are_kept_on_the_disk(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    assert kept_forms(settings) == {}
    keep_form(settings, "t2v", GenerationRequest(prompt="one"))
    keep_form(settings, "i2v", GenerationRequest(prompt="two"))
    keep_form(settings, "t2v", GenerationRequest(prompt="three"))
    assert {key: form["prompt"] for key, form in kept_forms(settings).items()} == {
        "t2v": "three",
        "i2v": "two",
    }
    path = settings.home / "forms.json"
    for text in ("", "[]", '{"t2v": 3}', "[" * 100_000, "x" * (MAX_BYTES + 1)):
        path.write_text(text)
        assert kept_forms(settings) == {}
    path.unlink()
    path.mkdir()
    keep_form(settings, "t2v", GenerationRequest(prompt="one"))  # refused by the disk, and no error


def test_another_browser_starts_from_the_last_settings_of_its_owner(
    tmp_path: Path, open_page: OpenPage
) -> None:
    studio = open_studio(tmp_path)
    try:
        page = open_page(studio.address)
        generate(page, "a green square moving up")
        wait_until_done(page)
        other = open_page(studio.address)
        expect(other.locator("#form-prompt textarea")).to_have_value(
            "a green square moving up", timeout=30_000
        )
        keep_form(studio.context.settings, "t2v", GenerationRequest(prompt="from elsewhere"))
        page.reload()
        expect(page.locator("#form-prompt textarea")).to_have_value(
            "a green square moving up", timeout=30_000
        )
    finally:
        studio.close()
    assert json.loads((tmp_path / "forms.json").read_text())["t2v"]["prompt"] == "from elsewhere"


def test_a_link_fills_the_form_and_starts_nothing(studio: Studio, open_page: OpenPage) -> None:
    said = {"tab": "i2v", "model": "demo-image", "prompt": "a red circle", "seed": 77, "colour": "red"}
    page = open_page(f"{studio.address}?{urlencode(said)}")
    expect(page.locator("#form-prompt textarea")).to_have_value("a red circle", timeout=30_000)
    expect(page.locator("#form-seed input")).to_have_value("77")
    expect(page.get_by_role("tab", name="Image to Video")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#i2v-image")).to_be_visible()
    expect(page.locator("#form-notice")).to_contain_text("Left out of the link: colour.")
    assert studio.context.store.list() == []


def test_a_link_shows_a_job(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    for prompt in ("the older one", "the newer one"):
        generate(page, prompt)
        wait_until_done(page)
    older = next(job for job in studio.context.store.list() if job.request.prompt == "the older one")
    page = open_page(f"{studio.address}?job={older.id}")
    expect(page.locator("#status .prompt")).to_have_text("the older one", timeout=30_000)
    page = open_page(f"{studio.address}?job=nobody")
    expect(page.locator("#status .prompt")).to_have_text("the newer one", timeout=30_000)
    expect(page.locator("#panel-notice")).to_contain_text("The job of this link is not on this machine")
