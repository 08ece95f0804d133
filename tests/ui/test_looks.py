"""How the page looks, measured in Chromium: contrast, focus, width, jumps, and how much there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from benchmarks.page import JUMPS_JS, count_components, idle_requests
from tests.ui.conftest import OpenPage, Studio, make_context
from tests.ui.test_languages import open_folds
from ui.studio import build

ENOUGH, ENOUGH_FOR_LARGE = 4.5, 3.0
"""Contrast of text that WCAG 2 asks for at level AA."""

PALE_JS = """([enough, enoughForLarge]) => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const behind = (part) => {
    const layers = [];
    for (let at = part; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.backgroundImage.startsWith('linear')) return null;
      layers.push(rgba(style.backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const light = (colour) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const pale = [];
  for (const part of document.querySelectorAll('body *')) {
    const own = [...part.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own && !part.placeholder) continue;
    if (!part.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (part.closest('[disabled], [id$="-drawing"], [aria-disabled="true"], .stage, script, style')) continue;
    const below = behind(part);
    if (!below) continue;
    const style = getComputedStyle(part, own ? null : '::placeholder');
    const [one, other] = [light(over(rgba(style.color), below)), light(below)].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? enoughForLarge : enough)) {
      const words = (part.textContent || part.placeholder).trim().slice(0, 40);
      pale.push(`${ratio.toFixed(2)} ${part.className} "${words}" ${style.color}`);
    }
  }
  return [...new Set(pale)];
}"""

FOCUS_JS = """() => {
  const part = document.activeElement;
  const frame = part.closest('.wrap, label, .block') ?? part;
  const shown = (at, when) => {
    const style = getComputedStyle(at, when);
    const outline = style.outlineStyle === 'none' ? '0' : style.outlineWidth + style.outlineColor;
    return [outline, style.boxShadow, style.borderColor].join(' ');
  };
  const name = part.getAttribute('aria-label') || part.id || part.textContent.trim() || part.tagName;
  const seen = shown(part) + shown(frame);
  const place = part.getBoundingClientRect();
  part.blur();
  const changed = seen !== shown(part) + shown(frame);
  part.focus({ focusVisible: true });
  return { name: name.slice(0, 40), changed, top: place.top + scrollY, id: part.closest('[id]')?.id };
}"""


def test_the_page_has_fewer_than_150_components(tmp_path: Path) -> None:
    assert count_components(build(make_context(tmp_path))) < 150


def tabs_of(studio: Studio) -> list[str]:
    texts = studio.context.texts
    return [*texts.tabs.values(), texts.tab_history, texts.tab_models, texts.tab_settings]


def visit(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    expect(page.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")
    page.wait_for_timeout(300)
    open_folds(page)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_enough_contrast(studio: Studio, open_page: OpenPage, scheme: str) -> None:
    page = open_page(studio.address, color_scheme=scheme)
    for name in tabs_of(studio):
        visit(page, name)
        page.wait_for_timeout(300)  # colours that fade in
        assert page.evaluate(PALE_JS, [ENOUGH, ENOUGH_FOR_LARGE]) == [], name


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 768, 3840])
def test_nothing_is_wider_than_the_window(studio: Studio, open_page: OpenPage, width: int) -> None:
    page = open_page(studio.address, viewport={"width": width, "height": 900})
    for name in tabs_of(studio):
        if width == 390:
            page.evaluate("scrollTo(0, 0)")
        visit(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name


@pytest.mark.browser
def test_the_focus_is_seen_and_goes_down_the_form(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    page.locator("#form-prompt textarea").focus()
    met = []
    for _ in range(14):
        page.keyboard.press("Tab")
        met.append(page.evaluate(FOCUS_JS))
    assert [part["name"] for part in met if not part["changed"]] == []
    order = [part["id"] for part in met]
    assert any(str(name).startswith("form-") for name in order)


@pytest.mark.browser
def test_the_page_hardly_jumps_and_rests_when_idle(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    page.add_init_script(JUMPS_JS)
    page.reload()
    page.wait_for_selector(".preflight .facts")
    expect(page.locator("#form-generate")).to_be_enabled(timeout=20_000)
    page.wait_for_timeout(1500)
    assert page.evaluate("jumps") < 0.1
    assert idle_requests(page) == 0
