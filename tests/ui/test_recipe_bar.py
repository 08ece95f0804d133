"""Results and JSON files opened on the page, and what the form holds copied."""

from __future__ import annotations

import base64
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect

from tests.ui.conftest import OpenPage, Studio, make_context
from tests.ui.test_page import generate, wait_until_done
from ui.recipes.recipe_words import written
from ui.serving.limits import MAX_UPLOAD
from wan_core.media.inputs import InputStore
from wan_core.media.metadata import as_text, request_metadata
from wan_core.media.write import write_clip, write_image, write_video
from wan_core.schema import GenerationRequest
from wan_core.schema.lora import LoraUse
from wan_core.schema.output import OutputOptions

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "assets" / "examples" / "circle-first.png"
FRAMES = np.zeros((5, 32, 32, 3), np.uint8)

DROP_JS = """([name, text]) => {
  const data = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([data], name));
  const options = { dataTransfer: carried, bubbles: true, cancelable: true };
  const place = document.querySelector('#header');
  place.dispatchEvent(new DragEvent('dragover', options));
  const seen = !document.querySelector('.recipes .veil').hidden;
  place.dispatchEvent(new DragEvent('drop', options));
  return seen;
}"""


def drop(page: Page, path: Path) -> None:
    """Drop a file on the header."""
    assert page.evaluate(DROP_JS, [path.name, base64.b64encode(path.read_bytes()).decode()])


def test_dropping_a_result_restores_the_form(studio: Studio, open_page: OpenPage, tmp_path: Path) -> None:
    image = InputStore(studio.context.settings.inputs_dir).keep(PICTURE)
    request = GenerationRequest(
        model="demo-image",
        task="i2v",
        prompt="<b>a red circle</b>",
        seed=41,
        image=image,
        loras=(LoraUse(file="gone.safetensors"),),
    )
    video = tmp_path / "made.mp4"
    write_video([FRAMES], video, 8, 18, request_metadata(request))
    page = open_page(studio.address)
    page.get_by_role("tab", name="Queue & History").click()
    drop(page, video)
    expect(page.locator("#form-prompt textarea")).to_have_value(request.prompt, timeout=30_000)
    expect(page.get_by_role("tab", name="Image to Video")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#form-seed input")).to_have_value("41")
    expect(page.locator("#i2v-image img")).to_be_visible()
    notice = page.locator("#form-notice .opened")
    expect(notice).to_contain_text("These are the settings of made.mp4.")
    expect(notice.locator("li")).to_have_text("The LoRA gone.safetensors is not in any folder of LoRAs.")
    assert page.locator(".alert:visible").count() == 0
    assert studio.context.store.list() == []


def test_a_picture_and_a_json_are_opened_by_the_button(
    studio: Studio, open_page: OpenPage, tmp_path: Path
) -> None:
    request = GenerationRequest(model="demo", task="t2i", prompt="a blue star", num_frames=1)
    write_image(FRAMES[0], tmp_path / "star.png", "png", request_metadata(request))
    other = request.model_copy(update={"prompt": "a white star", "task": "t2v", "num_frames": 17})
    (tmp_path / "star.json").write_text(as_text(request_metadata(other)))
    page = open_page(studio.address)
    for name, prompt in (("star.png", "a blue star"), ("star.json", "a white star")):
        button = page.get_by_role("button", name="Open a result…")
        with page.expect_file_chooser() as chooser:
            button.press("Enter")
        chooser.value.set_files(tmp_path / name)
        expect(page.locator("#form-prompt textarea")).to_have_value(prompt, timeout=30_000)
        expect(page.locator("#form-notice")).to_contain_text(f"These are the settings of {name}.")


def test_every_format_is_opened(studio: Studio, open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(studio.address)
    for number, format in enumerate(("webm", "gif", "webp", "jpeg")):
        request = GenerationRequest(model="demo", prompt=f"a star in {format}", seed=number)
        metadata = request_metadata(request)
        if format == "jpeg":
            path = tmp_path / "star.jpeg"
            write_image(FRAMES[0], path, "jpeg", metadata)
        else:
            path = tmp_path / f"star.{format}"
            write_clip([FRAMES], path, 8, OutputOptions(video_format=format), metadata)
        page.locator(".recipes input[type=file]").set_input_files(path)
        expect(page.locator("#form-prompt textarea")).to_have_value(request.prompt, timeout=30_000)
        expect(page.locator("#form-seed input")).to_have_value(str(number))


def test_hostile_files_are_one_sentence(studio: Studio, open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(studio.address)
    page.fill("#form-prompt textarea", "kept")
    for name, data, words in (
        ("holiday.png", PICTURE.read_bytes(), "holiday.png holds no settings of this studio"),
        ("deep.json", b'{"prompt": ' + b"[" * 100_000, "deep.json holds no settings of this studio"),
        ("noise.mp4", bytes(range(256)) * 9, "noise.mp4 holds no settings of this studio"),
    ):
        (tmp_path / name).write_bytes(data)
        drop(page, tmp_path / name)
        expect(page.locator("#form-notice .alert")).to_contain_text(words, timeout=30_000)
        assert page.locator(".alert:visible").count() == 1
    expect(page.locator("#form-prompt textarea")).to_have_value("kept")
    page.evaluate(
        """(size) => {
          const carried = new DataTransfer();
          carried.items.add(new File(['x'], 'large.mp4'));
          Object.defineProperty(File.prototype, 'size', { get: () => size });
          document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: carried, bubbles: true }));
        }""",
        MAX_UPLOAD + 1,
    )
    expect(page.locator(".recipes .said")).to_contain_text("large.mp4 is larger than 512 MiB")


def test_the_form_is_copied(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    page.get_by_role("button", name="Copy as CLI").click()
    expect(page.locator(".recipes .said")).to_contain_text("the prompt is empty", timeout=30_000)
    page.fill("#form-prompt textarea", 'a "red" circle\'s path')
    page.fill("#form-seed input", "5")
    page.keyboard.press("Tab")
    copied = {}
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    for name in ("Copy as CLI", "Copy as Python", "Copy link"):
        page.get_by_role("button", name=name).click()
        page.wait_for_function("window.copied")
        copied[name] = page.evaluate("[window.copied, delete window.copied][0]")
    words = shlex.split(copied["Copy as CLI"])
    assert words[:4] == ["python", "-m", "wan_core", "generate"]
    assert words[words.index("--prompt") + 1] == 'a "red" circle\'s path'
    assert words[words.index("--seed") + 1] == "5"
    assert words[words.index("--home") + 1] == str(studio.context.settings.home)
    assert "pipe = WanPipeline.load('demo'" in copied["Copy as Python"]
    other = open_page(copied["Copy link"])
    expect(other.locator("#form-prompt textarea")).to_have_value('a "red" circle\'s path', timeout=30_000)
    expect(other.locator("#form-seed input")).to_have_value("5")


def test_where_the_clipboard_is_closed_it_can_be_copied_by_hand(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    page.fill("#form-prompt textarea", "a red circle")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Copy as CLI").click()
    expect(page.locator(".recipes dialog textarea")).to_have_value(
        re.compile("--prompt 'a red circle'"), timeout=30_000
    )
    page.keyboard.press("Escape")
    expect(page.locator(".recipes dialog")).to_be_hidden()


def test_a_result_tells_its_recipe(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    generate(page, "a yellow star, told")
    wait_until_done(page)
    job = next(job for job in studio.context.store.list() if job.request.prompt == "a yellow star, told")
    page.get_by_role("tab", name="Queue & History").click()
    card = page.locator(f'#history .card[data-key="{job.id}"]')
    card.locator("summary").click()
    card.get_by_role("button", name="CLI, Python, link").click()
    told = page.locator("#history dialog pre")
    expect(told).to_contain_text(f"--seed {job.request.seed}", timeout=30_000)
    expect(told).to_contain_text("'a yellow star, told',")
    expect(told).to_contain_text(f"{studio.address}?job={job.id}")


def test_who_does_not_own_the_machine_learns_no_folder(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    request = GenerationRequest(model="demo-image", task="i2v", prompt="x", image="0" * 32 + ".png")
    visitor = replace(context, owned=False)
    for kind in ("cli", "python"):
        assert str(tmp_path / "inputs" / request.image) in written(kind, request, context)["text"]
        words = written(kind, request, visitor)["text"]
        assert request.image in words
        assert str(tmp_path) not in words
