"""The page in Chinese: nothing forgotten, nothing left in English, and the way to it and back."""

from __future__ import annotations

import dataclasses
import re
import string
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import OpenPage, Studio, make_context
from tests.ui.english_sentences import sentences
from ui.making import form
from ui.serving.languages import CHOICE, preferred
from ui.serving.server import Access, launch
from ui.strings import CHINESE, ENGLISH, LANGUAGES, title_of
from ui.strings.sentences import compiled, said
from ui.strings.zh_sentences import SENTENCES
from ui.studio import build, build_others
from wan_core.catalog import MODELS
from wan_core.schema import GenerationRequest, InvalidRequest, Settings, knobs
from wan_core.schema.settings import setting_knobs

SAME = {
    *(
        "Wan Studio",
        "VAE",
        "LoRA",
        "Transformer",
        "GPU",
        "CPU",
        "Flow shift",
        "CFG-Zero*",
        "NAG",
        "Enhance-A-Video",
        "RIFLEx",
        "{step}/{total}",
        "≈{time}",
        "–",
    ),
    "{done} / {total}",
}
"""What is written alike in both languages."""


GRADIOS = re.compile("Click to upload or drop files|(number input|range slider) for .*")
"""What Gradio says to screen readers in English on every page."""


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Where each text stands, and the text."""
    if isinstance(value, str):
        yield path, value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from leaves(getattr(value, field.name), f"{path}.{field.name}")
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, f"{path}.{key}")


def texts(language: str) -> dict[str, str]:
    found = dict(leaves(LANGUAGES[language]))
    own = (".language", ".other_language", ".other_title")
    return {path: words for path, words in found.items() if path not in own and ".titles." not in path}


def placeholders(words: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(words) if name is not None}


def has_chinese(words: str) -> bool:
    return any("\u4e00" <= letter <= "\u9fff" for letter in words)


def test_every_text_is_there_in_chinese() -> None:
    english, chinese = texts("en"), texts("zh")
    extra = set(chinese) - set(english)
    assert set(english) - set(chinese) == set()
    assert {path for path in extra if not path.startswith(".settings.choices.")} == set()
    assert all(words.strip() for words in chinese.values())
    assert CHINESE.names.keys() == knobs().keys()
    assert CHINESE.settings.names.keys() == setting_knobs().keys()


def test_chinese_texts_have_the_same_placeholders() -> None:
    english, chinese = texts("en"), texts("zh")
    free = [path for path in english if ".names." in path or "prompting.wildcards_help" in path]
    wrong = {
        path: chinese[path]
        for path in english
        if path not in free and placeholders(english[path]) != placeholders(chinese[path])
    }
    assert wrong == {}


def test_no_chinese_text_is_left_in_english() -> None:
    english, chinese = texts("en"), texts("zh")
    titles = set(CHINESE.settings.choices["attention"].values())
    left = {
        path: words
        for path, words in chinese.items()
        if not has_chinese(words)
        and words not in SAME | titles
        and any(letter.isalpha() for letter in words.replace("{", "").replace("}", ""))
        and not (path in english and english[path] in SAME)
    }
    assert {path for path in left if not left[path].startswith("{")} == set()


@pytest.mark.parametrize("name", [name for name in knobs() if form.choices_of(name)])
def test_every_choice_has_a_chinese_title(name: str) -> None:
    assert {word for word in form.choices_of(name) if word not in CHINESE.titles} == set()
    assert all(title_of(word, CHINESE.titles) for word in form.choices_of(name))


def test_every_choice_of_a_setting_has_a_chinese_title() -> None:
    for name, field in Settings.model_fields.items():
        if name in setting_knobs() and get_origin(field.annotation) is not None:
            words = [word for word in get_args(field.annotation) if isinstance(word, str)]
            english, chinese = ENGLISH.settings.choices.get(name, {}), CHINESE.settings.choices.get(name, {})
            assert {word for word in words if word in english and word not in chinese} == set()


def is_said(words: str) -> bool:
    """Whether a sentence, or a phrase that others are put before, has its template."""
    return any(form in SENTENCES for form in (words, f"{{}} {words}", f"{{}}, {words}", words + "."))


def test_every_sentence_of_the_engine_is_said_in_chinese() -> None:
    found = sentences()
    assert len(found) > 350
    assert {words for words in found if not is_said(words)} == set()


def test_sentences_fill_in_what_the_english_ones_hold() -> None:
    for english, chinese in SENTENCES.items():
        numbers = {int(name) for name in placeholders(chinese)}
        assert numbers == set(range(english.count("{}"))), english
        assert any(letter >= "\u3000" for letter in chinese), chinese  # signs, too


def test_a_title_of_words_is_chinese_and_a_name_stays() -> None:
    for model, spec in MODELS.items():
        assert ENGLISH.model_title(model) == spec.title
        assert has_chinese(CHINESE.model_title(model)) == model.startswith("demo"), model
        assert CHINESE.model_title(model) == CHINESE.said(spec.title)
    assert CHINESE.model_title("demo") == "演示模型（内置）"
    assert CHINESE.model_title("gone@file") == "gone@file"
    refused = CHINESE.said("Demo VACE (built in) does not take it for this task")
    assert refused == "VACE 演示模型（内置） 在此任务中不使用它"


def test_every_note_on_a_model_is_said_in_chinese() -> None:
    assert {spec.note for spec in MODELS.values() if spec.note} - SENTENCES.keys() == set()


def test_a_sentence_of_the_engine_is_said_in_chinese() -> None:
    error = InvalidRequest("num_frames", "80 is not 4n+1", "Try 77 or 81.")
    assert form.sentence(error, ENGLISH) == "Frames: 80 is not 4n+1. Try 77 or 81."
    assert form.sentence(error, CHINESE) == "帧数：80 不是 4n+1。请试 77 或 81。"
    patterns = compiled({"{} is {}.": "{1}是{0}。", "{} is no file.": "{0}不是文件。"})
    assert said("It is no file.", patterns) == "It不是文件。"
    assert said("Something else", patterns) == "Something else"


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("de-DE,de;q=0.9,zh;q=0.5,en;q=0.4", "zh"),
        ("fr", "en"),
        ("zh;q=bad,,;q=", "en"),
        ("en;q=0.2, zh-TW;q=0.7", "zh"),
    ],
)
def test_the_browsers_language_is_preferred(accepted: str, language: str) -> None:
    assert preferred(accepted, ["zh", "en"]) == language


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    context = make_context(tmp_path_factory.mktemp("both"))
    context.executor.start()
    blocks = build(context)
    studio = Studio(launch(blocks, context.settings, Access(), build_others(context)), context, blocks)
    yield studio
    studio.close()


def test_the_root_sends_a_browser_to_its_language(both: Studio) -> None:
    def asked(path: str, **headers: str) -> httpx.Response:
        return httpx.get(both.address.rstrip("/") + path, headers=headers)

    assert asked("/").status_code == 200
    sent = asked("/?job=1", **{"accept-language": "zh-CN"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/zh/?job=1")
    assert asked("/zh/", **{"accept-language": "en"}).status_code == 200
    chosen = asked("/zh/?lang=en", **{"accept-language": "zh-CN"})
    assert chosen.headers["location"] == "/"
    cookie = chosen.headers["set-cookie"].partition(";")[0]
    assert asked("/", cookie=cookie, **{"accept-language": "zh-CN"}).status_code == 200
    assert asked("/?lang=fr").status_code == 200


def test_the_gate_stands_before_every_page(both: Studio) -> None:
    address = both.address.rstrip("/")
    assert httpx.get(f"{address}/zh/", headers={"host": "elsewhere.example"}).status_code == 421
    assert httpx.get(f"{address}/zh/gradio_api/proxy=x").status_code == 404
    assert httpx.get(f"{address}/zh/", headers={"origin": "http://elsewhere.example"}).status_code == 403


SEEN_JS = """() => {
  const seen = (part) => part.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const words = new Set();
  for (const part of document.querySelectorAll('button, label, summary, h3, legend, a, span, p, option')) {
    if (!seen(part) || part.closest('.chips, .brand, [data-testid="markdown"]')) continue;
    const own = [...part.childNodes].filter((node) => node.nodeType === 3).map((node) => node.textContent);
    const text = own.join('').trim();
    if (text) words.add(text);
  }
  for (const part of document.querySelectorAll('[placeholder], [title], [aria-label]')) {
    if (!seen(part) || part.closest('.chips, .brand')) continue;
    for (const name of ['placeholder', 'title', 'aria-label']) {
      if (part.getAttribute(name)) words.add(part.getAttribute(name).trim());
    }
  }
  return [...words];
}"""


def open_folds(page: Page) -> None:
    """Every folded part that can be seen."""
    for fold in page.locator("#inputs .fold > button.label-wrap:not(.open)").all():
        if fold.is_visible():
            fold.click()


@pytest.mark.browser
def test_no_label_of_the_chinese_page_is_english(both: Studio, open_page: OpenPage) -> None:
    page = open_page(both.address, locale="zh-CN", viewport={"width": 1440, "height": 4000})
    assert page.url.endswith("/zh/")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    english = {words for words in texts("en").values()} | {
        title for title in ENGLISH.titles.values() if title
    }
    titles = {spec.title for spec in MODELS.values()}
    forbidden = english - set(texts("zh").values()) - set(CHINESE.titles.values())
    forbidden |= titles - {CHINESE.model_title(model) for model in MODELS}
    expect(page.locator("#form-model input")).to_have_value("演示模型（内置）", timeout=20_000)
    for name in [*CHINESE.tabs.values(), CHINESE.tab_history, CHINESE.tab_models, CHINESE.tab_settings]:
        page.get_by_role("tab", name=name, exact=True).click()
        page.wait_for_timeout(300)
        open_folds(page)
        seen = set(page.evaluate(SEEN_JS))
        assert len(seen) > 10
        assert seen & forbidden == set(), name
        left = {words for words in seen if len(words.split()) > 3 and not has_chinese(words)}
        sentences = {words for words in left - titles if not GRADIOS.fullmatch(words)}
        assert sentences == set(), name


@pytest.mark.browser
def test_a_person_can_change_the_language_and_it_stays(both: Studio, open_page: OpenPage) -> None:
    page = open_page(both.address, locale="en-US")
    generate = page.locator("#form-generate")
    expect(generate).to_have_text("Generate", timeout=20_000)
    page.get_by_role("link", name="中文").click()
    expect(generate).to_have_text("生成", timeout=20_000)
    page.goto(both.address)
    expect(generate).to_have_text("生成", timeout=20_000)
    page.locator("#form-prompt textarea").fill("一颗红色的星星")
    expect(generate).to_be_enabled(timeout=20_000)
    generate.click()
    said = page.locator("#status .prompt")
    expect(said).to_have_text("一颗红色的星星", timeout=20_000)
    page.get_by_role("link", name="English").click()
    expect(generate).to_have_text("Generate", timeout=20_000)
    expect(said).to_have_text("一颗红色的星星", timeout=20_000)


@pytest.mark.browser
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_queue_is_told_in_full_on_a_phone(both: Studio, open_page: OpenPage, language: str) -> None:
    store = both.context.store
    store.pause()
    for seed in range(12):
        store.submit(GenerationRequest(prompt="x", seed=seed))
    page = open_page(f"{both.address}?{CHOICE}={language}", viewport={"width": 390, "height": 900})
    words = LANGUAGES[language].queue_waiting.format(count=12)
    expect(page.locator(".chip.queue")).to_contain_text(words)
    cut = page.evaluate(
        "[...document.querySelectorAll('.line > *')].filter((each) => each.scrollWidth > each.clientWidth)"
    )
    store.cancel_all()
    store.pause(False)
    assert cut == []
