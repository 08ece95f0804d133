"""A full disk, and folders that cannot be written to: one sentence, and nothing that is there is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.faults.crashes import integrity
from tests.faults.drawing import drawing
from tests.faults.small_studio import SIZE
from tests.full_disk import files_of_at_most
from tests.jobs.conftest import wait_for
from tests.test_engine import ignore, stop_at
from tests.test_engine import request as tiny_request
from wan_core.engine import Engine
from wan_core.jobs import executors, runner
from wan_core.jobs.executors import InlineExecutor
from wan_core.jobs.job import Job, JobStatus
from wan_core.manager.kept_forms import keep_form, kept_forms
from wan_core.manager.kept_settings import KeptSettings
from wan_core.media.inputs import InputStore
from wan_core.media.read import probe
from wan_core.schema import (
    Cancelled,
    GenerationRequest,
    MediaError,
    ProgressEvent,
    Settings,
    Stage,
    StoreError,
)

pytestmark = pytest.mark.faults

BIG = 64 * 2**10


def asked(**fields: object) -> GenerationRequest:
    return GenerationRequest(**{"model": "demo", "prompt": "steps=3", **SIZE, **fields})


def ended(executor: InlineExecutor, job_id: str) -> Job:
    return wait_for(lambda: job if (job := executor.store.get(job_id)).status.is_final else None)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 3 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs to mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill_up(disk: Path, leaving: int) -> Path:
    """A file that takes all room but some bytes."""
    ballast = disk / "ballast"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(free - leaving, 1))
    return ballast


def test_a_full_disk_costs_the_job_a_sentence_and_the_queue_goes_on_when_there_is_room(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(executors, "_RETRY_SECONDS", 0.05)
    settings = Settings(home=small_disk / "home", device="cpu", offline=True)
    executor = InlineExecutor(settings, drawing(settings))
    kept = KeptSettings(settings)
    executor.start()
    before = ended(executor, executor.submit(asked(seed=1)))
    assert before.status is JobStatus.DONE
    first, second = (
        executor.submit(asked(prompt="steps=40 sleep=0.02", seed=2)),
        executor.submit(asked(seed=3)),
    )
    wait_for(lambda: executor.store.get(first).step)
    ballast = fill_up(small_disk, leaving=0)
    with pytest.raises(OSError, match="No space left"):
        kept.change({"vae_tile": 128})
    assert kept.current.vae_tile == 256
    refused = (StoreError, MediaError)
    with pytest.raises(refused):
        while True:  # the log of SQLite may have a page left
            executor.submit(asked(prompt="x" * 50_000))
    executor.store.queue(), executor.store.list()  # what is there is still read
    ballast.unlink()
    failed = ended(executor, first)
    assert failed.status in (JobStatus.DONE, JobStatus.FAILED)
    if failed.status is JobStatus.FAILED:
        assert failed.error.count(".") >= 1
        executor.retry(first)
    assert ended(executor, first).status is ended(executor, second).status is JobStatus.DONE
    shown = {"preview": None, "preview_version": 0}  # for some seconds after the end
    assert replace(executor.store.get(before.id), **shown) == replace(before, **shown)
    assert probe(before.result.video)
    assert kept.change({"vae_tile": 128}).vae_tile == 128
    executor.stop()
    assert integrity(settings.store_path) == "ok"


@pytest.mark.parametrize("leaving", [0, 4096, 3 * 4096, 10 * 4096, 30 * 4096])
def test_a_disk_that_is_full_from_the_beginning_on(
    small_disk: Path, leaving: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "RETRY_SECONDS", 0.05)
    settings = Settings(home=small_disk / "home", device="cpu", offline=True)
    settings.home.mkdir()
    ballast = fill_up(small_disk, leaving)
    executor = job_id = None
    try:
        executor = InlineExecutor(settings, drawing(settings))
        executor.start()
        job_id = executor.submit(asked())
    except (StoreError, OSError) as error:
        assert "disk" in str(error) or "space" in str(error)
    ballast.unlink()
    if job_id is None:
        if executor is not None:
            executor.stop()
        executor = InlineExecutor(settings, drawing(settings))
        executor.start()
        job_id = executor.submit(asked())
    if ended(executor, job_id).status is JobStatus.FAILED:
        assert executor.retry(job_id)
    assert ended(executor, job_id).status is JobStatus.DONE
    executor.stop()


@pytest.mark.parametrize("name", ["outputs", "latents", "previews", "logs", "inputs"])
def test_a_folder_that_cannot_be_used_costs_no_more_than_what_goes_there(
    settings: Settings, tmp_path: Path, name: str
) -> None:
    settings.home.mkdir()
    (settings.home / name).write_text("in the way")
    executor = InlineExecutor(settings, drawing(settings))
    executor.start()
    job = ended(executor, executor.submit(asked()))
    if name == "outputs":
        assert job.status is JobStatus.FAILED and "cannot be written to" in job.error
        assert job.step == 0, "before the first step"
        (settings.home / name).unlink()
        executor.retry(job.id)
        job = ended(executor, job.id)
    assert job.status is JobStatus.DONE
    executor.stop()
    if name == "inputs":
        Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "a.png")
        with pytest.raises(MediaError, match="could not be kept"):
            InputStore(settings.inputs_dir).keep(tmp_path / "a.png")


def test_settings_and_forms_that_cannot_be_written_stay_as_they_are(settings: Settings) -> None:
    kept = KeptSettings(settings)
    kept.change({"vae_tile": 128})
    keep_form(settings, "t2v", asked())
    whole = [(settings.home / name).read_bytes() for name in ("settings.json", "forms.json")]
    with files_of_at_most(20):
        with pytest.raises(OSError, match="File too large"):
            kept.change({"vae_tile": 512})
        keep_form(settings, "i2v", asked())
    assert [(settings.home / name).read_bytes() for name in ("settings.json", "forms.json")] == whole
    assert sorted(path.name for path in settings.home.iterdir()) == ["forms.json", "settings.json"]
    assert KeptSettings(settings).current.vae_tile == kept.current.vae_tile == 128
    assert list(kept_forms(settings)) == ["t2v"]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("size", [0, 100, 1000, 5000, BIG])
def test_the_engine_on_a_disk_that_takes_so_many_bytes_a_file(settings: Settings, size: int) -> None:
    engine = Engine(settings)
    clean = engine.generate(tiny_request(), ignore, "clean").video.read_bytes()
    disk, outputs = ExitStack(), set(settings.outputs_dir.iterdir())

    def limit(event: ProgressEvent) -> None:
        if event.stage is Stage.DENOISE:
            disk.enter_context(files_of_at_most(size))

    with disk:
        try:
            made = engine.generate(tiny_request(), limit, "job")
            assert made.video.read_bytes() == clean
        except MediaError as error:
            assert size < BIG and str(error).count(".") >= 1
            left = set(settings.outputs_dir.iterdir()) - outputs
            assert not left, "nothing half, and no name is held"
    assert engine.generate(tiny_request(), ignore, "job").video.read_bytes() == clean


@pytest.mark.usefixtures("tiny")
def test_latents_that_cannot_be_kept_cost_no_video(settings: Settings) -> None:
    engine = Engine(settings)
    settings.home.mkdir(exist_ok=True)
    settings.latents_dir.write_text("in the way")
    made = engine.generate(tiny_request(), ignore, "job")
    assert probe(made.video)
    assert [words for words in made.warnings if words.startswith("The finished latents were not kept")]


@pytest.mark.usefixtures("tiny")
def test_a_poster_that_cannot_be_written_costs_no_video(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise MediaError("job.poster.webp could not be written (No space left on device).")

    monkeypatch.setattr("wan_core.result_files.write_poster", refuse)
    made = Engine(settings).generate(tiny_request(), ignore, "job")
    assert probe(made.video) and made.thumbnail is None
    assert made.warnings[-1].startswith("It has no poster: ")


@pytest.mark.usefixtures("tiny")
def test_a_name_is_held_until_the_result_is_written_down(settings: Settings) -> None:
    engine = Engine(settings)
    kept = engine.generate(tiny_request(), ignore, "job", holds_name=True)
    again = engine.generate(tiny_request(), ignore, "job", holds_name=True)
    assert again.video == kept.video, "as after a crash"
    other = engine.generate(tiny_request(filename="{prompt}"), ignore, "one", holds_name=True)
    third = engine.generate(tiny_request(filename="{prompt}"), ignore, "two")
    assert other.video != third.video
    with pytest.raises(Cancelled):
        engine.generate(tiny_request(), stop_at(Stage.DECODE, 0), "stopped", holds_name=True)
    marks = [path.name for path in settings.outputs_dir.glob(".*")]
    assert sorted(marks) == sorted(f".{made.video.name}.reserved" for made in (kept, other))
