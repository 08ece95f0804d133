"""The queue as a ZIP in the browser: saved, loaded by the button, dropped anywhere; hostile ones refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.jobs.conftest import wait_for
from tests.ui.conftest import OpenPage, Studio
from tests.ui.test_history import open_history
from tests.ui.test_public_page import public  # noqa: F401 - a fixture
from tests.ui.test_recipe_bar import drop
from ui.context import Context
from ui.tabs.history import Doors
from wan_core.jobs.queue_file import waiting
from wan_core.jobs.queue_zip import MANIFEST, open_queue
from wan_core.jobs.visitors import VISITOR
from wan_core.media.inputs import InputStore
from wan_core.media.metadata import request_metadata
from wan_core.schema import GenerationRequest
from wan_core.schema.lora import LoraUse

PICTURE = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)


def prompts(studio: Studio) -> list[str]:
    return [request.prompt for request in waiting(studio.context.store)]


def queue_of(path: Path, *jobs: object) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, json.dumps({"wan_studio_queue": 1, "jobs": jobs}))
    return path


def save(page: Page, path: Path) -> None:
    with page.expect_download(timeout=30_000) as download:
        page.get_by_role("button", name="Save queue").click()
    download.value.save_as(path)


def test_a_queue_is_saved_loaded_and_dropped(studio: Studio, open_page: OpenPage, tmp_path: Path) -> None:
    store = studio.context.store
    store.pause()
    picture = InputStore(studio.context.settings.inputs_dir).keep_picture(PICTURE)
    store.submit(GenerationRequest(prompt="<b>first</b>", seed=1))
    store.submit(GenerationRequest(model="demo-image", task="i2v", prompt="second", image=picture, seed=2))
    saved = waiting(store)
    page = open_page(studio.address)
    open_history(page)
    save(page, tmp_path / "mine.zip")
    told = page.locator("#history .queue-told")
    expect(told.locator("p")).to_contain_text("2 waiting jobs are in queue-")
    told.get_by_role("button", name="Close").click()
    expect(told).to_be_hidden()
    expect(page.get_by_role("button", name="Load queue")).to_be_focused()

    store.cancel_all()
    expect(page.get_by_role("button", name="Save queue")).to_be_hidden(timeout=30_000)
    (studio.context.settings.inputs_dir / picture).unlink()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Load queue").press("Enter")
    chooser.value.set_files(tmp_path / "mine.zip")
    expect(told.locator("p")).to_have_text("2 of 2 jobs of mine.zip are in the queue now.", timeout=30_000)
    expect(page.locator("#history .row .prompt")).to_have_text(["<b>first</b>", "second"])
    assert waiting(store) == saved
    assert (studio.context.settings.inputs_dir / picture).is_file()

    fresh = open_page(studio.address)  # where the history has not been seen yet
    lora = GenerationRequest(prompt="styled", loras=(LoraUse(file="gone.safetensors"),))
    bad = {"wan_studio_request": {"prompt": "<i>bad</i>", "num_frames": 18}}
    jobs = [request_metadata(lora), bad, request_metadata(GenerationRequest(prompt="third"))]
    drop(fresh, queue_of(tmp_path / "theirs.zip", *jobs))
    told = fresh.locator("#history .queue-told")
    expect(told.locator("p")).to_have_text("1 of 3 jobs of theirs.zip are in the queue now.", timeout=30_000)
    expect(told.locator("li")).to_have_count(2)
    expect(told.locator("li").first).to_have_text(
        "1. styled: The LoRA gone.safetensors is not in any folder of LoRAs."
    )
    expect(told.locator("li").last).to_contain_text("2. <i>bad</i>: Frames: 18 is not 4n+1.")
    assert prompts(studio) == ["<b>first</b>", "second", "third"]
    expect(fresh.get_by_role("tab", name="Queue & History")).to_have_attribute("aria-selected", "true")
    store.cancel_all()
    store.pause(False)


def test_a_hostile_queue_adds_nothing(studio: Studio, open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(studio.address)
    path = queue_of(tmp_path / "evil.zip", request_metadata(GenerationRequest(prompt="never")))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../evil.png", b"x")
    before = len(studio.context.store.list())
    drop(page, path)
    told = page.locator("#history .queue-told.alert p")
    expect(told).to_contain_text("evil.zip holds ../../evil.png, which is no part of a queue", timeout=30_000)
    (tmp_path / "noise.zip").write_bytes(bytes(range(256)))
    page.locator("#history .queue-file").set_input_files(tmp_path / "noise.zip")
    expect(told).to_contain_text("noise.zip is no queue of this studio", timeout=30_000)
    assert len(studio.context.store.list()) == before


@pytest.mark.parametrize(
    "asked",
    [{"uploaded": "/etc/passwd"}, {"uploaded": None}, {"uploaded": 7}, {"uploaded": {"path": "\0"}}, {}],
)
def test_nothing_but_an_upload_is_loaded(context: Context, asked: dict) -> None:
    answer = Doors(context).open("act", {"does": "load-queue", **asked})
    assert "is no file that was uploaded here" in answer["error"]


def test_a_saved_queue_is_told_to_nobody_else(context: Context) -> None:
    context.store.submit(GenerationRequest(prompt="mine"))
    doors = Doors(context)
    token = VISITOR.set("ann")
    try:
        task = doors.open("act", {"does": "save-queue"})["task"]
        VISITOR.set("bob")
        assert "href" not in doors.open("act", {"does": "errand", "task": task})
        VISITOR.set("ann")
        answers: list[dict] = []
        wait_for(
            lambda: (
                answers.append(doors.open("act", {"does": "errand", "task": task})) or "href" in answers[-1]
            )
        )
    finally:
        VISITOR.reset(token)
    assert answers[-1]["words"].startswith("1 waiting jobs are in queue-")
    assert "error" in doors.open("act", {"does": "errand", "task": task})  # it is told once


def test_a_visitor_saves_and_loads_own_jobs(
    public: Studio,  # noqa: F811
    open_page: OpenPage,
    tmp_path: Path,
) -> None:
    everything = public.context.executor.everything
    everything.pause()
    everything.submit(GenerationRequest(prompt="somebody else's"))
    page = open_page(public.address)
    path = queue_of(
        tmp_path / "a.zip", *(request_metadata(GenerationRequest(prompt=name)) for name in "abcdef")
    )
    drop(page, path)
    told = page.locator("#history .queue-told")
    expect(told.locator("p")).to_have_text("4 of 6 jobs of a.zip are in the queue now.", timeout=30_000)
    expect(told.locator("li").last).to_contain_text("6. f: queue: 4 jobs of yours wait or run.")
    save(page, tmp_path / "mine.zip")
    with open_queue(tmp_path / "mine.zip") as archive:
        assert [job["wan_studio_request"]["prompt"] for job in archive.jobs] == list("abcd")
    other = open_page(public.address)
    open_history(other)
    expect(other.get_by_role("button", name="Save queue")).to_be_hidden()
