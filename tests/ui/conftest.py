"""A studio with a drawn engine, and a Chromium to look at it with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from tests.jobs.conftest import wait_for
from tests.ui.fake import fake_run
from ui.context import Context
from ui.serving.server import Access, launch
from ui.studio import build
from wan_core.jobs.executors import InlineExecutor
from wan_core.jobs.queue_file import waiting
from wan_core.jobs.store import JobStore
from wan_core.manager.errands import Errands
from wan_core.manager.kept_settings import KeptSettings
from wan_core.manager.weights import WeightStore
from wan_core.media.write import write_video
from wan_core.schema import GenerationRequest, Settings

SECONDS, RATE = 5.0, 12
"""Length of ``turning_clip`` and its frames a second."""

expect.set_options(timeout=20_000)  # a machine may be slow, and busy with another test

_CHROMIUMS = ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")
"""Debian's; the first needs half the time."""

CHROMIUM = next(filter(Path.exists, map(Path, _CHROMIUMS)), Path(_CHROMIUMS[0]))
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
]
WIDE: ViewportSize = {"width": 1440, "height": 900}


@dataclass
class Studio:
    """A served studio."""

    address: str
    context: Context
    blocks: gr.Blocks

    @property
    def home(self) -> Path:
        return self.context.settings.home

    def close(self) -> None:
        self.context.errands.stop()
        self.context.executor.stop()
        self.blocks.close()


def make_context(home: Path, model: str | None = None) -> Context:
    """Services over ``home``, with no hub cache; the executor is not started."""
    settings = Settings(home=home, offline=True)
    executor = InlineExecutor(settings, fake_run(settings))
    weights = WeightStore(settings, hub_cache=home / "hub")
    return Context(executor, Errands(weights), KeptSettings(settings), model)


def open_studio(home: Path, model: str | None = None, port: int | None = None) -> Studio:
    context = make_context(home, model)
    context.executor.start()
    blocks = build(context)
    return Studio(launch(blocks, context.settings, Access(port=port)), context, blocks)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return make_context(tmp_path)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    studio = open_studio(tmp_path_factory.mktemp("studio"))
    yield studio
    studio.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def nothing_remembered(request: pytest.FixtureRequest) -> None:
    """A new browser starts from the forms used last on the machine: not from those of another test."""
    for name in {"studio", "app"} & set(request.fixturenames):
        home = getattr(request.getfixturevalue(name), "home", None)
        if home is not None:
            (home / "forms.json").unlink(missing_ok=True)


OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def person(browser: Browser) -> Iterator[BrowserContext]:
    """Who opens the first page of each test: its scripts are read once, which is most of a page's cost."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def open_page(browser: Browser, person: BrowserContext) -> Iterator[OpenPage]:
    """``open_page(address, **context options)``: a page in a browser of its own; no script may fail on it."""
    strangers, errors = [], []

    def page_of(address: str, **options: object) -> Page:
        if person.pages or options:
            strangers.append(browser.new_context(**options))
            return strangers[-1].new_page()
        page = person.new_page()
        forgotten = {"origin": address, "storageTypes": "local_storage"}
        person.new_cdp_session(page).send("Storage.clearDataForOrigin", forgotten)
        return page

    def open_page(
        address: str, *, viewport: ViewportSize = WIDE, color_scheme: str = "light", **options: object
    ) -> Page:
        page = page_of(address, **options)
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=color_scheme)
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector(".preflight .facts")
        return page

    yield open_page
    for context in strangers:
        context.close()
    for page in person.pages:
        page.close()
    person.clear_cookies()
    person.clear_permissions()
    assert errors == []


@pytest.fixture(scope="module")
def turning_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds that turn from red to blue."""
    path, count = tmp_path_factory.mktemp("clips") / "clip.mp4", round(SECONDS * RATE)
    frames = np.zeros((count, 96, 160, 3), np.uint8)
    shares = np.linspace(0, 1, count)[:, None, None]
    frames[..., 0], frames[..., 2] = 255 * (1 - shares), 255 * shares
    write_video([frames], path, RATE, 12, {})
    return path


@pytest.fixture
def store(studio: Studio) -> Iterator[JobStore]:
    """The studio's, in which nothing runs meanwhile."""
    store = studio.context.store
    store.pause()
    yield store
    store.cancel_all()
    store.pause(False)


def queue(page: Page, store: JobStore, prompt: str) -> GenerationRequest:
    """Generate, and return what waits for it."""
    page.fill("#form-prompt textarea", prompt)
    page.click("#form-generate")
    wait_for(lambda: prompt in [request.prompt for request in waiting(store)])
    return waiting(store)[-1]
