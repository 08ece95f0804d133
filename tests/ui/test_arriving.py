"""LoRAs by address on the page: fetched into a row, stopped and gone on with, refused; only for the owner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from playwright.sync_api import expect
from safetensors.torch import save

from tests.manager.fake_hub import FakeHub
from tests.ui.conftest import OpenPage
from tests.ui.test_machine import Machinery, serve
from ui.making import arriving, loras
from ui.serving.server import Access, launch
from ui.strings import CHINESE
from ui.studio import build
from wan_core.catalog import find_model
from wan_core.manager import transfer

WIDTH = find_model("demo").dit.dim
FLUX = save({"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": torch.ones(4, 8)})


def lora(rank: int = 64) -> bytes:
    layer = "diffusion_model.blocks.0.self_attn.q"
    down, up = torch.ones(rank, WIDTH), torch.ones(WIDTH, rank)
    return save(
        {f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up}, {"modelspec.title": "Paper"}
    )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machinery]:
    patch = pytest.MonkeyPatch()
    patch.setattr(transfer, "RETRY_SECONDS", 0.02)
    with FakeHub({"paper.safetensors": lora(), "flux.safetensors": FLUX}) as hub:
        opened = serve(tmp_path_factory.mktemp("arriving"), hub)
        yield opened
        opened.studio.close()
    patch.undo()


def asks(**values: object) -> SimpleNamespace:
    return SimpleNamespace(**values)


def test_only_the_owner_may(house: Machinery, tmp_path: Path) -> None:
    stranger = serve(tmp_path, house.hub, owned=False)
    try:
        context = stranger.studio.context
        told = arriving.act(
            context, asks(files=[], add=f"{house.hub.url}/org/Model/resolve/main/paper.safetensors")
        )
        assert told == {"arriving": []}
        assert context.errands.loras.all() == []
        update = loras.answer(context, asks(files=[], add="a/b/c.safetensors", stop=7, forget=None))
        assert update["told"] == {"names": [], "cards": {}, "arriving": []}
    finally:
        stranger.studio.close()


def test_what_is_no_address_is_told_in_the_pages_language(house: Machinery) -> None:
    context = house.studio.context
    told = arriving.act(context, asks(add="http://example.org/x.safetensors"))
    assert told["refused"] == "Add a LoRA by address: 'http' is not https. Only https is downloaded from."
    assert (told["begun"], told["arriving"]) == ("", [])
    assert arriving.act(context, asks(add=7, again=["x"], stop="none", forget="none")) == {
        "begun": "", "refused": "", "arriving": [],
    }  # fmt: skip


@pytest.mark.browser
def test_a_lora_is_fetched_into_a_row(house: Machinery, open_page: OpenPage) -> None:
    hub, page = house.hub, open_page(house.studio.address)
    asked: list[str] = []
    page.locator("#form-loras_fold button.label-wrap").click()
    desk = page.locator("#form-loras .lora-desk")
    desk.locator(".lora-address").fill("owner/repo")
    desk.locator(".lora-fetch").click()
    expect(desk.locator("> .alert")).to_contain_text("names no .safetensors file", timeout=15_000)

    hub.stall = True
    desk.locator(".lora-address").fill(f"{hub.url}/org/Model/blob/main/paper.safetensors")
    desk.locator(".lora-address").press("Enter")
    expect(desk.locator(".lora-arrival.running .note")).to_contain_text("of", timeout=15_000)
    expect(desk.locator("> .alert")).to_be_hidden()
    expect(desk.locator(".lora-address")).to_have_value("")
    desk.get_by_role("button", name="Cancel").click()
    expect(desk.locator(".lora-arrival")).to_contain_text(
        "Cancelled; what has arrived is kept", timeout=15_000
    )

    hub.stall = False
    desk.get_by_role("button", name="Start again").click()
    expect(desk.locator(".lora-arrival.done .note")).to_have_text(
        "paper.safetensors is here.", timeout=15_000
    )
    expect(page.locator("#form-loras .lora-file")).to_have_value("paper.safetensors")
    expect(page.locator("#form-preflight")).to_contain_text("1 LoRA: 1 of 1 parts fit", timeout=15_000)
    assert hub.requests[-1].range.startswith("bytes=")
    desk.get_by_role("button", name="Dismiss").click()
    expect(desk.locator(".lora-arrival")).to_have_count(0)

    desk.locator(".lora-address").fill("org/Model/flux.safetensors")
    desk.locator(".lora-fetch").click()
    failed = desk.locator(".lora-arrival.failed .alert")
    expect(failed).to_contain_text("looks like a LoRA for Flux, not for Wan", timeout=15_000)
    assert page.locator("#form-loras .lora-row").count() == 1
    assert [path.name for path in (house.home / "loras").iterdir() if path.is_file()] == ["paper.safetensors"]

    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)  # nothing is under way: nobody asks
    assert [url for url in asked if "heartbeat" not in url] == []
    page.reload()
    page.wait_for_selector(".preflight .facts")
    page.locator("#form-loras_fold button.label-wrap").click()
    expect(failed).to_contain_text("for Flux", timeout=15_000)


@pytest.mark.browser
def test_the_models_tab_follows_a_lora_too(house: Machinery, open_page: OpenPage) -> None:
    hub, loras = house.hub, house.studio.context.errands.loras
    for arrival in loras.all():
        loras.forget(arrival.key)
    hub.files["scissors.safetensors"], hub.stall = lora(48), True
    key = loras.begin(f"{hub.url}/org/Model/blob/main/scissors.safetensors?token=hush-77")
    page = open_page(house.studio.address)
    page.get_by_role("tab", name="Models", exact=True).click()
    errand = page.locator(f'#errands .errand[data-model="{key}"]')
    expect(errand.locator(".phase")).to_contain_text("Downloading the LoRA", timeout=15_000)
    expect(errand.locator(".phase")).to_contain_text("org/Model/scissors.safetensors")
    expect(errand.locator(".count")).to_contain_text(" of ", timeout=15_000)
    page.reload()
    page.get_by_role("tab", name="Models", exact=True).click()
    errand.get_by_role("button", name="Cancel").click()
    expect(errand.locator(".count")).to_have_text("Cancelled; what has arrived is kept.", timeout=15_000)
    expect(errand.locator(".bar")).to_have_count(0)
    hub.stall = False
    hub.woken.set()
    errand.get_by_role("button", name="Start again").click()
    expect(errand.locator(".count")).to_have_text("scissors.safetensors is here.", timeout=15_000)
    assert hub.requests[-1].range.startswith("bytes=")
    assert "hush-77" not in page.content()
    errand.get_by_role("button", name="Close").click()
    expect(errand).to_have_count(0)
    assert loras.all() == []


@pytest.mark.browser
def test_the_chinese_models_tab_follows_it_in_chinese(house: Machinery, open_page: OpenPage) -> None:
    hub, context = house.hub, replace(house.studio.context, texts=CHINESE)
    loras, settings = context.errands.loras, context.settings
    hub.files["glue.safetensors"], hub.stall = lora(40), True
    hub.woken.clear()
    key = loras.begin(f"{hub.url}/org/Model/blob/main/glue.safetensors")
    blocks = build(context)
    try:
        page = open_page(launch(blocks, settings, Access()))
        page.get_by_role("tab", name=CHINESE.tab_models, exact=True).click()
        errand = page.locator(f'#errands .errand[data-model="{key}"]')
        expect(errand.locator(".phase")).to_have_text(
            "正在下载 LoRA org/Model/glue.safetensors", timeout=15_000
        )
        errand.get_by_role("button", name="取消").click()
        expect(errand.locator(".count")).to_have_text("已取消；已收到的部分会保留。", timeout=15_000)
        errand.get_by_role("button", name="关闭").click()
        expect(errand).to_have_count(0)
        expect(page.locator('#models [data-model="demo"] .name')).to_have_text("演示模型（内置）")
    finally:
        hub.stall = False
        hub.woken.set()
        blocks.close()


@pytest.mark.browser
def test_a_page_of_somebody_else_has_no_field(house: Machinery, open_page: OpenPage, tmp_path: Path) -> None:
    stranger = serve(tmp_path, house.hub, owned=False)
    try:
        page = open_page(stranger.studio.address)
        page.locator("#form-loras_fold button.label-wrap").click()
        expect(page.locator("#form-loras .note")).to_have_text(
            "This studio has no LoRAs yet.", timeout=15_000
        )
        assert page.locator("#form-loras .lora-desk input").count() == 0
    finally:
        stranger.studio.close()
