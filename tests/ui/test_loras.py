"""The LoRA rows of a making tab, in Chromium and without it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page, expect
from safetensors.torch import save_file

from tests.lora.test_card import picture
from tests.ui.conftest import OpenPage, Studio, open_studio
from tests.ui.test_page import wait_until_done
from ui.context import Context
from ui.making import form, loras, preflight
from ui.tabs.plans import TABS
from wan_core.catalog import find_model
from wan_core.lora.presets import PRESETS
from wan_core.schema import GenerationRequest, InvalidRequest
from wan_core.schema.lora import LoraUse

HOSTILE = "<img src=x onerror=alert(1)>"
WIDTH = find_model("demo").dit.dim


def write_loras(folder: Path, width: int = WIDTH) -> None:
    """One with words and a picture, one of few steps, one of Flux, and one with hostile texts."""
    (folder / "sub").mkdir(parents=True)
    layer = "diffusion_model.blocks.0.self_attn.q"
    tensors = {
        f"{layer}.lora_down.weight": torch.zeros(4, width),
        f"{layer}.lora_up.weight": torch.zeros(width, 4),
    }
    told = {"trigger_words": "papercut, folded", "modelspec.title": "Paper", "modelspec.thumbnail": picture()}
    save_file(tensors, folder / "paper.safetensors", told)
    save_file(tensors, folder / "sub" / "lightx2v_4steps.safetensors")
    flux = {"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": torch.zeros(4, 8)}
    save_file(flux, folder / "flux.safetensors")
    save_file(tensors, folder / "hostile.safetensors", {"trigger_words": HOSTILE, "modelspec.title": HOSTILE})


def test_rows_become_the_requests_field_and_come_back() -> None:
    rows = [
        {"file": "a.safetensors", "strength": "0.5", "blocks": "0-3", "merge": True},
        {"file": "", "strength": "1"},
        {"file": "b.safetensors", "strength": "1, 0.5 0"},
        {"file": "c.safetensors", "strength": "", "unknown": 3},
        "nonsense",
    ]
    request = GenerationRequest.parse({"loras": loras.to_field(rows)})
    assert request.loras == (
        LoraUse(file="a.safetensors", strength=0.5, blocks="0-3", merge=True),
        LoraUse(file="b.safetensors", strength=(1.0, 0.5, 0.0)),
        LoraUse(file="c.safetensors"),
    )
    assert GenerationRequest.parse({"loras": loras.to_field(loras.to_rows(request.loras))}) == request
    assert loras.to_field(None) == []
    with pytest.raises(InvalidRequest, match="'strong' is no strength"):
        loras.to_field([{"file": "a.safetensors", "strength": "strong"}])


def test_a_request_with_loras_survives_the_form() -> None:
    request = GenerationRequest(prompt="x", loras=[{"file": "a.safetensors", "strength": [1, 0]}], seed=3)
    assert form.to_request(TABS[0], form.values_of(request)).loras == request.loras


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("paper.safetensors", "· 1 LoRA: 1 of 1 parts fit</p>"),
        ("partly.safetensors", "· 1 LoRA: 1 of 3 parts fit</p>"),
        ("vace.safetensors", "vace.safetensors fits no part of Demo"),
        (
            "flux.safetensors",
            "LoRA: flux.safetensors looks like a LoRA for Flux, not for Wan. Choose",
        ),
        ("wide.safetensors", "wide.safetensors is for a transformer of width 5120, and that of"),
        ("gone.safetensors", "LoRA: &#x27;gone.safetensors&#x27; is not in any folder of LoRAs."),
    ],
)
def test_the_line_above_generate_says_what_will_not_do(context: Context, file: str, words: str) -> None:
    write_loras(context.settings.loras_dir)
    (context.settings.loras_dir / "wide.safetensors").write_bytes(b"")
    wide = {"blocks.0.self_attn.q.lora_A.weight": torch.zeros(4, 5120)}
    save_file(wide, context.settings.loras_dir / "wide.safetensors")
    none = {"vace_blocks.0.after_proj.diff_b": torch.zeros(WIDTH)}
    save_file(none, context.settings.loras_dir / "vace.safetensors")
    partly = {**none, "blocks.0.norm3.diff": torch.zeros(WIDTH), "blocks.1.norm3.diff": torch.zeros(3)}
    save_file(partly, context.settings.loras_dir / "partly.safetensors")
    values = {
        **form.values_of(GenerationRequest()),
        "prompt": "x",
        "loras": [{"file": file, "strength": "1"}],
    }
    assert words in preflight.preflight_html(TABS[0], values, context)


def test_what_is_told_of_a_lora(context: Context) -> None:
    write_loras(context.settings.loras_dir)
    told = loras.told(context, "paper.safetensors")
    assert (told["title"], told["words"], told["preset"]) == ("Paper", ("papercut", "folded"), None)
    assert loras.told(context, "sub/lightx2v_4steps.safetensors")["preset"] == {
        "key": "lightx2v", "title": "lightx2v, 4 steps", "strength": 1.0,
    }  # fmt: skip
    assert "is no name of a LoRA" in loras.told(context, "../../secret.safetensors")["problem"]
    json.dumps(told)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    home = tmp_path_factory.mktemp("studio")
    write_loras(home / "loras")
    studio = open_studio(home)
    yield studio
    studio.close()


def open_rows(page: Page) -> None:
    page.locator("#form-loras_fold button.label-wrap").click()
    expect(page.locator("#form-loras .lora-add")).to_be_visible()


def add(page: Page, file: str) -> None:
    count = page.locator("#form-loras .lora-row").count()
    page.locator("#form-loras .lora-add").click()
    page.locator("#form-loras .lora-file").nth(count).select_option(file)


@pytest.mark.browser
def test_a_lora_is_chosen_weighted_used_and_found_again(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    for name in ("Wan2.1 T2V 14B", "Demo (built in)"):  # the rows are drawn again after each
        page.locator("#form-model input").first.click()
        page.get_by_role("option", name=name, exact=True).click()
        expect(page.locator("#form-model input").first).to_have_value(name)
    open_rows(page)
    add(page, "paper.safetensors")
    expect(page.locator("#form-preflight")).to_contain_text("1 LoRA: 1 of 1 parts fit")
    expect(page.locator("#form-loras .lora-about .note")).to_have_text("Paper · rank 4")
    page.wait_for_function("document.querySelector('#form-loras img.lora-preview').naturalWidth === 8")
    page.locator("#form-prompt textarea").fill("a boat,")
    page.locator("#form-loras .chips button", has_text="folded").click()
    expect(page.locator("#form-prompt textarea")).to_have_value("a boat, folded")
    page.locator("#form-loras .lora-strength").fill("0.6")
    page.locator("#form-loras .lora-strength").press("Tab")
    expect(page.locator("#form-loras .lora-slider")).to_have_value("0.6")
    page.locator("#form-loras .lora-slider").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#form-loras .lora-strength")).to_have_value("0.65")
    page.locator("#form-loras summary").click()
    page.locator("#form-loras .lora-blocks").fill("0-1")
    page.locator("#form-loras .lora-blocks").press("Tab")
    page.locator("#form-generate").click()
    expect(page.locator("#status .prompt")).to_have_text("a boat, folded")
    wait_until_done(page)
    wanted = (LoraUse(file="paper.safetensors", strength=0.65, blocks="0-1"),)
    assert studio.context.store.list(limit=1)[0].request.loras == wanted
    page.locator("#form-loras .lora-remove").click()
    expect(page.locator("#form-preflight")).not_to_contain_text("LoRA")
    page.locator("#reuse").click()
    expect(page.locator("#form-preflight")).to_contain_text("1 LoRA")
    expect(page.locator("#form-loras .lora-file")).to_have_value("paper.safetensors")
    page.reload()
    expect(page.locator("#form-preflight")).to_contain_text("1 LoRA")
    open_rows(page)
    expect(page.locator("#form-loras .lora-strength")).to_have_value("0.65")
    expect(page.locator("#form-loras .lora-blocks")).to_have_value("0-1")


@pytest.mark.browser
def test_a_preset_sets_steps_guidance_shift_and_sampler_together(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    open_rows(page)
    for _ in range(page.locator("#form-loras .lora-row").count()):
        page.locator("#form-loras .lora-remove").first.click()
    add(page, "sub/lightx2v_4steps.safetensors")
    page.locator("#form-loras .lora-strength").fill("0.3")
    page.locator("#form-loras .lora-strength").press("Tab")
    page.locator("#form-loras .lora-preset", has_text="Set up for lightx2v, 4 steps").click()
    page.locator("#form-sampling_fold button.label-wrap").click()
    expect(page.locator("#form-num_inference_steps input[type=number]")).to_have_value("4")
    expect(page.locator("#form-shift input[type=number]")).to_have_value("5")
    page.locator("#form-prompt textarea").fill("few steps")
    page.locator("#form-generate").click()
    wait_until_done(page)
    expect(page.locator("#status .prompt")).to_have_text("few steps")
    request, row = studio.context.store.list(limit=1)[0].request, PRESETS["lightx2v"]
    for name in loras.PRESET_FIELDS:
        assert getattr(request, name) == getattr(row, name)
    assert request.loras == (LoraUse(file="sub/lightx2v_4steps.safetensors", strength=1.0),)


@pytest.mark.browser
def test_strangers_texts_stay_texts_and_other_models_loras_are_told(
    studio: Studio, open_page: OpenPage
) -> None:
    page = open_page(studio.address)
    open_rows(page)
    for _ in range(page.locator("#form-loras .lora-row").count()):
        page.locator("#form-loras .lora-remove").first.click()
    add(page, "hostile.safetensors")
    expect(page.locator("#form-loras .chips button")).to_have_text(HOSTILE)
    assert page.locator("#form-loras img").count() == 0
    add(page, "flux.safetensors")
    words = "flux.safetensors looks like a LoRA for Flux, not for Wan"
    expect(page.locator("#form-loras .alert")).to_have_text(words)
    expect(page.locator("#form-preflight .alert")).to_contain_text(words)
    for _ in range(2):
        page.locator("#form-loras .lora-add").click()
    expect(page.locator("#form-loras .lora-row")).to_have_count(loras.MAX_ROWS)
    expect(page.locator("#form-loras .lora-add")).to_have_count(0)
