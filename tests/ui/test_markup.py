"""Markup in the words of strangers is shown as words, wherever the page shows them: row 13."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page, expect
from safetensors.torch import save_file

from tests.ui.conftest import OpenPage, Studio
from tests.ui.test_loras import add, open_rows
from tests.ui.test_recipe_bar import drop
from wan_core.catalog import find_model
from wan_core.media.metadata import as_text, request_metadata
from wan_core.schema import GenerationRequest

pytestmark = [pytest.mark.browser, pytest.mark.faults]

HOSTILE = '<img src=x onerror="window.pwned=1">'
WIDTH = find_model("demo").dit.dim


def calm(page: Page) -> bool:
    """Whether nothing of it has become a part of the page, or run."""
    return page.evaluate("() => !window.pwned && !document.querySelector('img[src=\"x\"]')")


def write_lora(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    layer = "diffusion_model.blocks.0.self_attn.q"
    down, up = torch.zeros(4, WIDTH), torch.zeros(WIDTH, 4)
    tensors = {f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up}
    told = dict.fromkeys(("trigger_words", "modelspec.title", "modelspec.author", "ss_output_name"), HOSTILE)
    save_file(tensors, folder / f"{name}.safetensors", told)


def test_markup_is_shown_as_text(studio: Studio, open_page: OpenPage, tmp_path: Path) -> None:
    for name in ("hostile", HOSTILE):  # a name like the second is none that a request takes
        write_lora(studio.context.settings.loras_dir, name)
    recipe = tmp_path / f"{HOSTILE}.json"
    request = GenerationRequest(model="demo", prompt=HOSTILE)
    recipe.write_text(as_text(request_metadata(request)))
    page = open_page(studio.address)

    drop(page, recipe)  # a file's name, and the words in it
    expect(page.locator("#form-prompt textarea")).to_have_value(HOSTILE, timeout=30_000)
    expect(page.locator("#form-notice")).to_contain_text("These are the settings of")
    open_rows(page)
    while page.locator("#form-loras .lora-row").count():
        page.locator("#form-loras .lora-remove").first.click()
    add(page, "hostile.safetensors")
    expect(page.locator("#form-loras")).to_contain_text(HOSTILE)
    assert calm(page)

    page.locator("#form-generate").click()
    expect(page.locator("#status .prompt")).to_have_text(HOSTILE, timeout=60_000)
    page.wait_for_selector('#status [data-status="done"]', timeout=60_000)
    job = studio.context.store.list()[0]
    studio.context.store.tag(job.id, [HOSTILE])
    page.get_by_role("tab", name="Queue & History").click()
    page.locator("#look-again").evaluate("button => button.click()")
    expect(page.locator("#history .card .prompt").first).to_have_text(HOSTILE, timeout=30_000)
    page.locator("#history input[type=search], #history form input").first.fill(HOSTILE)
    expect(page.locator("#history .card")).to_have_count(1)
    card = page.locator("#history .card").first
    card.locator("summary").click()
    card.locator('[data-does="recipe"]').click()
    expect(page.locator("dialog.log pre")).to_contain_text(HOSTILE, timeout=30_000)
    assert calm(page)

    fresh = open_page(f"{studio.address}?prompt={HOSTILE}&model={HOSTILE}")
    assert calm(fresh)
    answer = page.request.get(f"{studio.address}gradio_api/file={HOSTILE}")
    assert (answer.status, "img" in answer.text()) == (403, False)
