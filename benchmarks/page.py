"""How fast the page is, in Chromium: ``python -m benchmarks.page``.

Measures what a person waits for (the page that can be typed into, the form of another tab that can be used),
what the page is made of (components, listeners, bytes), what it asks of the server while nothing happens, and
how much it jumps. Prints medians and keeps them as JSON in ``benchmarks/results``.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gradio.blocks import Blocks
from gradio.components import BrowserState, Component, State
from gradio.components.api_component import Api
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.report import save
from tests.ui.conftest import CHROMIUM, CHROMIUM_ARGUMENTS, open_studio

UNSEEN = (Api, BrowserState, State)
REPEATS = 5
IDLE_SECONDS = 5.0
SETTLING_SECONDS = 1.0
"""After which a form that was just filled asks nothing more."""

USABLE_JS = """() => {
  const prompt = document.querySelector('#form-prompt textarea');
  return Boolean(prompt && prompt.checkVisibility() && !prompt.disabled);
}"""
READY_JS = "() => document.querySelector('#form-generate')?.disabled === false"

JUMPS_JS = """
window.jumps = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.jumps += entry.value;
}).observe({ type: 'layout-shift', buffered: true });
"""

WATCH_JS = """(makes) => {
  // from the click on a tab until its form can be used, or its page is in sight
  window.switched = new Promise((resolve) => {
    document.addEventListener('click', (event) => {
      const tab = event.target.closest('[role="tab"]'), generate = document.getElementById('form-generate');
      let slept = false;
      const look = () => {
        slept ||= generate.disabled;
        const chosen = tab.getAttribute('aria-selected') === 'true';
        const there = makes ? slept && !generate.disabled : document.querySelector('#form.away');
        if (chosen && there) resolve(performance.now() - event.timeStamp);
        else requestAnimationFrame(look);
      };
      look();
    }, { capture: true, once: true });
  });
}"""


def count_components(blocks: Blocks) -> int:
    """What the browser has to build: components without layout, endpoints and what only keeps a value."""
    parts = [part for part in blocks.blocks.values() if isinstance(part, Component)]
    return sum(not isinstance(part, UNSEEN) for part in parts)


def load(page: Page, address: str) -> dict[str, float]:
    """Milliseconds from asking for the page until it can be typed into, and until Generate can be pressed."""
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function(USABLE_JS, polling="raf")
    usable = time.perf_counter() - started
    page.wait_for_function(READY_JS, polling="raf")
    ready = time.perf_counter() - started
    timing = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"
    return {"first_paint": page.evaluate(timing), "usable": usable * 1000, "ready": ready * 1000}


def switch(page: Page, names: dict[str, bool]) -> dict[str, float]:
    """Milliseconds from the click on each tab until its form can be used; name -> whether it has the form."""
    taken = {}
    for name, makes in names.items():
        page.evaluate(WATCH_JS, makes)
        page.get_by_role("tab", name=name, exact=True).click()
        taken[name] = page.evaluate("switched")
        page.wait_for_timeout(SETTLING_SECONDS * 1000)
    return taken


def idle_requests(page: Page) -> int:
    """What the page asks of the server while nothing happens."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(IDLE_SECONDS * 1000)
    return len(asked)


def fetched(browser: Browser, address: str) -> dict[str, float]:
    """What opening the page for the first time fetches, and what again, when the browser has it."""
    sizes = {}
    context = browser.new_context()
    for name in ("first", "again"):
        page, answers = context.new_page(), []
        page.on("requestfinished", lambda request, seen=answers: seen.append(request))
        page.goto(address)
        page.wait_for_function(READY_JS)
        sizes[f"requests_{name}"] = len(answers)
        sizes[f"kilobytes_{name}"] = sum(r.sizes()["responseBodySize"] for r in answers) / 1000
        page.close()
    context.close()
    return sizes


def medians(measured: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(row[name] for row in measured) for name in measured[0]}


def measure(
    browser: Browser, address: str, tabs: dict[str, bool], say: Callable[[str], None]
) -> dict[str, Any]:
    """All that is measured in the browser."""
    loads, switches, jumps = [], [], []
    for _ in range(REPEATS):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.add_init_script(JUMPS_JS)
        loads.append(load(page, address))
        page.wait_for_timeout(500)
        on_load = page.evaluate("jumps")
        switches.append(switch(page, tabs))
        jumps.append({"on_load": on_load, "on_switching": page.evaluate("jumps") - on_load})
        idle = idle_requests(page)
        page.close()
        say(f"{loads[-1]} {switches[-1]}")
    return {
        "milliseconds_to": medians(loads),
        "milliseconds_to_switch_to": medians(switches),
        "layout_jumps": medians(jumps),
        "idle_requests": idle,
        "fetched": fetched(browser, address),
    }


def main() -> None:
    studio = open_studio(Path(tempfile.mkdtemp()))
    texts = studio.context.texts
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
            first, *makers = texts.tabs.values()
            others = (texts.tab_history, texts.tab_models, texts.tab_settings)
            tabs = {**dict.fromkeys(makers, True), **dict.fromkeys(others, False), first: True}
            found = measure(browser, studio.address, tabs, print)
            browser.close()
        config = studio.blocks.get_config_file()
        found["components"] = count_components(studio.blocks)
        found["listeners"] = len(config["dependencies"])
        found["config_kilobytes"] = len(json.dumps(config, default=str)) / 1000
    finally:
        studio.close()
    save("page", found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
