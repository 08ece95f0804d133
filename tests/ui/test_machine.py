"""The Models and Settings tabs in Chromium: a hub on loopback, real files, a real settings file."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.manager.fake_hub import FakeHub
from tests.ui.conftest import OpenPage, Studio
from tests.ui.fake import fake_run
from ui.context import Context
from ui.serving.server import Access, launch
from ui.studio import build
from wan_core.catalog import MODELS, Role, WeightFiles, find_model
from wan_core.jobs.executors import InlineExecutor
from wan_core.jobs.job import Machine, WorkerState, WorkerStatus
from wan_core.manager import transfer
from wan_core.manager.errands import Errands
from wan_core.manager.kept_settings import KeptSettings
from wan_core.manager.weights import WeightStore
from wan_core.schema import GenerationRequest, Settings
from wan_core.schema.schemes import DeviceFacts

pytestmark = pytest.mark.browser

PATIENCE = 30_000  # milliseconds
TURING = Machine(DeviceFacts("cuda", (7, 5), "Fake Turing"), 7 * 2**30, 8 * 2**30)
CPU = Machine(DeviceFacts("cpu", None, "CPU"), 2**34, 2**34)
FILES = {Role.TRANSFORMER: "dit.safetensors", Role.TEXT_ENCODER: "t5.pth", Role.VAE: "vae.pth"}
TOKENIZER = "google/umt5-xxl/tokenizer.json"


@dataclass
class Machinery:
    """A served studio with its hub; ``adopted`` are the settings that the executor was given."""

    studio: Studio
    hub: FakeHub
    home: Path
    adopted: list[Settings] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.home / "models" / "Model"

    def found(self, machine: Machine) -> None:
        status = WorkerStatus(WorkerState.IDLE, 1, device=machine.facts.name, machine=machine)
        self.studio.context.store.beat(status)


def serve(home: Path, hub: FakeHub, owned: bool = True) -> Machinery:
    settings = Settings(home=home)
    adopted: list[Settings] = []
    executor = InlineExecutor(settings, fake_run(settings), adopt=adopted.append)
    weights = WeightStore(settings, hub.url, home / "hub")
    context = Context(executor, Errands(weights), KeptSettings(settings), owned=owned)
    executor.start()
    blocks = build(context)
    return Machinery(Studio(launch(blocks, settings, Access()), context, blocks), hub, home, adopted)


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    """A hub with the models ``small`` and ``large``, which share all but their transformers."""
    patch = pytest.MonkeyPatch()
    patch.setattr(transfer, "RETRY_SECONDS", 0.02)
    files = {
        "dit.safetensors": bytes(range(256)) * 4000,
        "large.safetensors": b"large" * 300_000,
        "t5.pth": b"t5" * 20_000,
        "vae.pth": b"vae" * 1000,
        TOKENIZER: b"{}",
    }
    with FakeHub(files) as running:
        small = replace(
            find_model("wan2.1-t2v-1.3b"),
            id="small",
            title="Small",
            repo="org/Model",
            revision="main",
            weights={role: WeightFiles((name,), len(files[name])) for role, name in FILES.items()},
            tokenizer=WeightFiles((TOKENIZER,), len(files[TOKENIZER])),
        )
        big = WeightFiles(("large.safetensors",), len(files["large.safetensors"]))
        large = replace(small, id="large", title="Large", weights={**small.weights, Role.TRANSFORMER: big})
        patch.setitem(MODELS, "small", small)
        patch.setitem(MODELS, "large", large)
        yield running
    patch.undo()


@pytest.fixture(scope="module")
def machinery(hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machinery]:
    machinery = serve(tmp_path_factory.mktemp("machine"), hub)
    yield machinery
    machinery.studio.close()


def open_tab(open_page: OpenPage, machinery: Machinery, name: str, **options: object) -> Page:
    page = open_page(machinery.studio.address, **options)
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page.get_by_role("tab", name=name, exact=True).click()
    page.wait_for_selector({"Models": "#models .model", "Settings": "#settings-folders li"}[name])
    return page


def row(page: Page, model: str):
    return page.locator(f'#models .model[data-model="{model}"]')


def press(page: Page, model: str, button: str) -> None:
    row(page, model).get_by_role("button", name=f"{button}: ", exact=False).first.click()


def kept(machinery: Machinery) -> dict[str, object]:
    return json.loads((machinery.home / "settings.json").read_text())


def until(condition: Callable[[], bool]) -> None:
    """Wait for what no element of the page tells."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def test_a_download_survives_a_reload_and_a_cancel_and_goes_on(
    machinery: Machinery, open_page: OpenPage
) -> None:
    hub, page = machinery.hub, open_tab(open_page, machinery, "Models")
    expect(row(page, "small").locator(".size")).to_have_text("1.1 MB to download")
    hub.stall = True
    press(page, "small", "Download")
    errand = page.locator('#errands .errand[data-model="small"]')
    expect(errand.locator(".phase")).to_have_text("Downloading Small")
    expect(errand.locator(".count")).to_contain_text("of 1.07 MB")
    page.reload()
    page.get_by_role("tab", name="Models", exact=True).click()
    expect(errand.locator(".count")).to_contain_text("of 1.07 MB")
    errand.get_by_role("button", name="Cancel").click()
    expect(errand).to_have_count(0)
    hub.stall = False
    hub.woken.set()
    press(page, "small", "Download")
    expect(row(page, "small")).to_have_class("model here")
    expect(page.locator("#errands .errand")).to_have_count(0)
    assert (machinery.folder / "dit.safetensors").read_bytes() == hub.files["dit.safetensors"]
    assert any(request.range for request in hub.requests), "what had arrived was not sent again"
    expect(row(page, "small").locator(".parts")).to_contain_text(str(machinery.folder))
    expect(row(page, "large").locator(".size")).to_have_text("1.5 MB to download")
    common = page.locator("#models > ul.parts, #models ul.parts").last
    expect(common).to_contain_text("Text encoder · 40.0 kB · for Small, Large")


def test_verifying_finds_a_damaged_file_and_replaces_it(machinery: Machinery, open_page: OpenPage) -> None:
    machinery.studio.context.weights.fetch(MODELS["small"], lambda event: None)
    page = open_tab(open_page, machinery, "Models")
    press(page, "small", "Verify")
    errand = page.locator('#errands .errand[data-model="small"]')
    expect(errand).to_contain_text("Verified: 4 files are as published.")
    errand.get_by_role("button", name="Close").click()
    expect(errand).to_have_count(0)
    (machinery.folder / "vae.pth").write_bytes(b"no!" * 1000)
    press(page, "small", "Verify")
    expect(errand.locator(".alert")).to_have_text("Damaged: vae.pth")
    errand.get_by_role("button", name="Download them again").click()
    until(lambda: not machinery.studio.context.errands.are_active)
    expect(errand).to_have_count(0)
    assert (machinery.folder / "vae.pth").read_bytes() == machinery.hub.files["vae.pth"]


def test_deleting_takes_two_clicks_and_leaves_what_others_need(
    machinery: Machinery, open_page: OpenPage
) -> None:
    for model in ("small", "large"):
        machinery.studio.context.weights.fetch(MODELS[model], lambda event: None)
    page = open_tab(open_page, machinery, "Models")
    press(page, "small", "Delete")
    question = row(page, "small").locator(".question")
    expect(question).to_have_text(
        "Delete 1.0 MB of Small? Tokenizer, Text encoder, VAE stay, as Large need them."
    )
    press(page, "small", "Keep it")
    expect(question).to_have_count(0)
    press(page, "small", "Delete")
    expect(question).to_have_count(1)
    assert (machinery.folder / "dit.safetensors").exists()
    press(page, "small", "Delete")
    expect(page.locator("#models-notice")).to_contain_text("1.0 MB of Small deleted.")
    expect(row(page, "small")).to_have_class("model")
    assert not (machinery.folder / "dit.safetensors").exists()
    assert (machinery.folder / "t5.pth").exists()


def test_a_failed_download_is_one_sentence(
    machinery: Machinery, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(machinery.hub.files, "dit.safetensors")
    (machinery.folder / "dit.safetensors").unlink(missing_ok=True)
    page = open_tab(open_page, machinery, "Models")
    press(page, "small", "Download")
    expect(page.locator("#errands .alert")).to_contain_text("org/Model: dit.safetensors could not be")
    page.locator("#errands").get_by_role("button", name="Close").click()
    expect(page.locator("#errands .errand")).to_have_count(0)


def test_every_setting_is_kept_at_once_and_reaches_the_worker(
    machinery: Machinery, open_page: OpenPage
) -> None:
    machinery.found(TURING)
    page = open_tab(open_page, machinery, "Settings")
    notice = page.locator("#settings-notice")

    page.locator("#settings-profile input").click()
    page.get_by_role("option", name="Block streaming").click()
    expect(notice).to_have_text("Saved; it counts from the next job on, which loads the models again.")
    until(lambda: kept(machinery)["profile"] == "blocks")
    page.locator("#settings-vram_limit_gib input").fill("5.5")
    page.locator("#settings-vram_limit_gib input").press("Enter")
    expect(page.locator("#settings-plan .why")).to_contain_text("GiB")
    until(lambda: kept(machinery)["vram_limit_gib"] == 5.5)
    page.locator("#settings-text_encoder").get_by_label("CPU").check()
    until(lambda: kept(machinery)["text_encoder"] == "cpu")
    page.locator("#settings-vae_tiling").get_by_label("On", exact=True).check()
    until(lambda: kept(machinery)["vae_tiling"] == "on")
    page.locator("#settings-idle_unload_minutes input").fill("0")
    page.locator("#settings-idle_unload_minutes input").press("Enter")
    expect(notice).to_have_text("Saved; it counts from now on.")
    until(lambda: kept(machinery)["idle_unload_minutes"] == 0)
    until(lambda: machinery.adopted[-1].idle_unload_minutes == 0)
    assert machinery.adopted[-1].vram_limit_gib == 5.5

    page.locator("#settings-vram_limit_gib input").fill("lots")
    page.locator("#settings-vram_limit_gib input").press("Enter")
    expect(notice.locator(".alert")).to_contain_text("VRAM limit: 'lots' is refused.")
    expect(page.locator("#settings-vram_limit_gib input")).to_have_value("5.5")
    page.locator("#settings-vram_limit_gib input").fill("")
    page.locator("#settings-vram_limit_gib input").press("Enter")
    expect(notice).to_contain_text("Saved")
    until(lambda: kept(machinery)["vram_limit_gib"] is None)

    page.reload()
    page.get_by_role("tab", name="Settings", exact=True).click()
    expect(page.locator("#settings-profile input")).to_have_value(re.compile("Block streaming"))
    expect(page.locator("#settings-text_encoder").get_by_label("CPU")).to_be_checked()


def test_what_the_device_cannot_do_is_grey_with_its_reason(machinery: Machinery, open_page: OpenPage) -> None:
    machinery.found(TURING)
    page = open_tab(open_page, machinery, "Settings")
    expect(page.locator("#settings-refused s")).to_have_text(["bf16"])
    expect(page.locator("#settings-refused")).to_contain_text("Fake Turing has no bfloat16 arithmetic")
    page.locator("#settings-precision input").click()
    titles = page.get_by_role("option").all_inner_texts()
    assert "fp16" in " ".join(titles) and "bf16" not in [title.strip(" ✓\n") for title in titles]
    page.keyboard.press("Escape")
    machinery.found(CPU)
    page = open_tab(open_page, machinery, "Settings")
    expect(page.locator("#settings-device")).to_contain_text("no GPU that can be used")
    expect(page.locator("#settings-profile input")).to_be_disabled()
    expect(page.locator("#settings-vram_limit_gib input")).to_be_disabled()
    expect(page.locator("#settings-text_encoder").get_by_label("GPU")).to_have_count(0)


def test_folders_are_checked_added_and_taken_away(
    machinery: Machinery, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_tab(open_page, machinery, "Settings")
    text, add = page.locator("#settings-folder input"), page.locator("#settings-add-folder")
    notice, listed = page.locator("#settings-notice"), page.locator("#settings-folders li")
    expect(listed).to_have_count(1)
    for wrong, complaint in [
        ("models", "no full path"),
        (str(tmp_path / "nowhere"), "is no folder"),
        (str(machinery.home / "models"), "is searched already"),
    ]:
        text.fill(wrong)
        add.click()
        expect(notice.locator(".alert")).to_contain_text(complaint)
        expect(text).to_have_value(wrong)
    folder = tmp_path / "<my> models"
    folder.mkdir()
    text.fill(str(folder))
    add.click()
    expect(listed).to_have_count(2)
    expect(text).to_have_value("")
    assert kept(machinery)["model_folders"] == [str(folder)]
    listed.last.get_by_role("button").click()
    expect(listed).to_have_count(1)
    assert kept(machinery)["model_folders"] == []


def test_whoever_does_not_own_the_machine_sees_models_but_no_paths_and_no_switches(
    hub: FakeHub, open_page: OpenPage, tmp_path: Path
) -> None:
    public = serve(tmp_path, hub, owned=False)
    try:
        public.studio.context.weights.fetch(MODELS["small"], lambda event: None)
        page = open_tab(open_page, public, "Models")
        expect(row(page, "small")).to_have_class("model here")
        assert page.locator("#models button, #errands button").count() == 0
        assert page.get_by_role("tab", name="Settings", exact=True).count() == 0
        assert str(tmp_path) not in page.content()
        names = {function.api_name for function in public.studio.blocks.fns.values()}
        assert "act" not in names and "keep" not in names
    finally:
        public.studio.close()


def test_a_model_in_use_is_not_deleted(machinery: Machinery, open_page: OpenPage) -> None:
    context = machinery.studio.context
    context.weights.fetch(MODELS["small"], lambda event: None)
    request = GenerationRequest(model="small", prompt="endlessly", num_frames=5, width=832, height=480)
    blocking = context.store.submit(GenerationRequest(prompt="endlessly"))
    waiting = context.store.submit(request)
    try:
        page = open_tab(open_page, machinery, "Models")
        press(page, "small", "Delete")
        expect(page.locator("#models-notice .alert")).to_contain_text("Small is in use")
        expect(page.locator("#models .question")).to_have_count(0)
    finally:
        for job in (waiting, blocking):
            context.store.cancel(job)
