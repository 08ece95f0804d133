"""Prompts of every kind, names of every kind, a clock that stands or goes back, and many people at once."""

from __future__ import annotations

import multiprocessing
import random
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from tests.faults.real_engine import executor_of
from tests.jobs.conftest import request, wait_for
from tests.jobs.test_store import result_of
from tests.ui.conftest import Studio, open_studio
from wan_core.jobs import base, queueing, serving
from wan_core.jobs.executors import InlineExecutor
from wan_core.jobs.job import JobStatus
from wan_core.jobs.past import Search
from wan_core.jobs.store import JobStore
from wan_core.media import naming
from wan_core.media.metadata import read_request
from wan_core.media.reserving import release, reserve
from wan_core.media.write import POSTER_SUFFIX
from wan_core.schema import GenerationRequest, InvalidRequest, Settings

pytestmark = pytest.mark.faults

LONGEST_NAME = 100

PROMPTS = {
    "one letter": "a",
    "Chinese": "一只猫在月光下跳舞，色调艳丽",
    "emoji": "👨‍👩‍👧‍👦 🏳️‍🌈 👍🏽 1️⃣",
    "right to left": "שלום עולם \u202eabc\u202c مرحبا بالعالم",
    "combining": "e\u0301\u0301\u0301 Z̸̢̛͎a̵l̶g̷o̸",
    "beyond the first plane": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𠜎𠜱𠝹",
    "control characters": "a\x01\x1b[31m\x7fb\u200b\ufeff",
    "lines": "one\r\ntwo\n\n\tthree",
    "quotes and markup": """<img src=x onerror=alert(1)> "' ` $(rm) ; -- % _ \\ {}""",
    "a path": "../../../etc/passwd C:\\con\\nul.txt /dev/null",
    "longer than 512 tokens": "a red circle moves to the left " * 300,
    "100,000 characters": "猫" * 50_000 + "x" * 50_000,
}


@pytest.fixture
def executor(settings: Settings, tiny: object) -> Iterator[InlineExecutor]:
    executor = executor_of(settings)
    executor.start()
    yield executor
    executor.stop()


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_any_prompt_is_made_and_found_again(executor: InlineExecutor, prompt: str) -> None:
    asked = GenerationRequest.parse(
        {
            **{"model": "tiny", "prompt": prompt, "negative_prompt": prompt[:100], "num_frames": 1},
            **{"num_inference_steps": 1, "seed": 1, "filename": "{prompt}"},
        }
    )
    job_id = executor.submit(asked)
    job = wait_for(lambda: job if (job := executor.store.get(job_id)).status.is_final else None, 60)
    assert job.status is JobStatus.DONE, job.error
    assert job.result.request.prompt == read_request(job.result.video).prompt
    assert len(job.result.video.name.encode()) <= LONGEST_NAME
    assert job.result.video.parent == executor._settings.outputs_dir
    if '"' not in prompt[:20]:  # the sign that holds words together
        found = executor.store.history(Search(words=f'"{prompt[:20]}"'), 9)
        assert [one.id for one in found] == [job_id]
    cut = [words for words in job.result.warnings if "the model sees the first 512" in words]
    assert bool(cut) == (len(prompt) > 9000)


@pytest.mark.parametrize("prompt", ["", " \n\t ", "a\0b", "\ud800", "x" * 100_001])
def test_what_is_no_prompt_is_refused_in_a_sentence(store: JobStore, prompt: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^prompt: .*\.$"):
        store.submit(GenerationRequest.parse({"prompt": prompt}))


@pytest.fixture
def store(settings: Settings) -> Iterator[JobStore]:
    store = JobStore(settings.store_path)
    yield store
    store.close()


class Standing(datetime):
    """A clock that stands."""

    @classmethod
    def now(cls, tz: object = None) -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5)


@pytest.mark.parametrize("template", ["", "{date} {prompt}", "CON"])
def test_two_hundred_results_of_one_second_have_names_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    monkeypatch.setattr(naming, "datetime", Standing)
    asked = GenerationRequest(prompt="../con " + "🐱" * 300, filename=template[:60])
    names = set()
    for number in range(200):
        path = reserve(tmp_path, asked, f"{'same' if template else number:_<16}{number}")
        if number % 2:  # finished ones are as much in the way as those under way
            path.touch()
            path.with_name(path.stem + POSTER_SUFFIX).touch()
            release(path)
        names.add(path.name.casefold())
        assert path.parent == tmp_path
        assert max(len(f"{path.stem}{POSTER_SUFFIX}".encode()), len(path.name.encode())) <= LONGEST_NAME
    assert len(names) == 200


def _take(folder: Path, job: str, names: multiprocessing.Queue) -> None:
    asked = GenerationRequest(prompt="a", filename="same")
    names.put([reserve(folder, asked, f"{job}-{number}").name for number in range(25)])


def test_processes_never_take_the_same_name(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    names = context.Queue()
    workers = [context.Process(target=_take, args=(tmp_path, job, names)) for job in "abcd"]
    for worker in workers:
        worker.start()
    taken = [name for _ in workers for name in names.get(timeout=60)]
    for worker in workers:
        worker.join()
    assert len(taken) == len(set(taken)) == 100


class Clock:
    """Seconds that go where they like."""

    def __init__(self) -> None:
        self.now = 1.8e9

    def time(self) -> float:
        return self.now


def test_a_clock_that_goes_back_changes_no_order(
    store: JobStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, dice = Clock(), random.Random(1)
    for module in (base, queueing, serving):
        monkeypatch.setattr(module, "time", clock)
    settings.outputs_dir.mkdir(parents=True)
    ids = []
    for _ in range(40):
        ids.append(store.submit(request()))
        clock.now += dice.uniform(-3600, 1800)
    assert [job.id for job in store.queue()] == ids
    for number, job_id in enumerate(ids):
        job = store.claim()
        assert job.id == job_id
        clock.now += dice.uniform(-3600, 1800)
        if number % 3:
            store.finish(job_id, result_of(settings, job_id))
        else:
            store.fail(job_id, "It failed.")
    assert [job.id for job in store.history(Search(), 99)] == ids[::-1]
    assert all(job.elapsed >= 0 for job in store.list(99))
    clock.now -= 40 * 86_400  # a clock that was a month ahead is put right: its dates are not kept up
    last = store.submit(request())
    store.claim()
    store.fail(last, "It failed.")
    assert store.get(last).finished == clock.now


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    studio = open_studio(tmp_path_factory.mktemp("studio"))
    yield studio
    studio.close()


def test_many_people_at_once_get_what_each_asked_for(studio: Studio) -> None:
    mixed: list[str] = []
    files: list[str] = []

    def person(name: str) -> None:
        with httpx.Client(base_url=studio.address, timeout=60) as client:

            def call(endpoint: str, *data: object) -> object:
                answer = client.post(f"/gradio_api/run/{endpoint}", json={"data": list(data)})
                return answer.raise_for_status().json()["data"][0]

            asked = [f"{name} {number}" for number in range(2)]
            jobs = [
                call("generate", {"prompt": prompt, "num_frames": 5, "num_inference_steps": 2}, {})
                for prompt in asked
            ]
            for job, prompt in zip(jobs, asked, strict=True):
                wait_for(lambda job=job: call("status", job)["status"] == "done", 60)
                made = call("result", job)
                files.append(made["files"][0]["url"])
                if made["request"]["prompt"] != prompt:
                    mixed.append(prompt)

    people = [threading.Thread(target=person, args=(f"person {number}",)) for number in range(8)]
    for one in people:
        one.start()
    for one in people:
        one.join()
    assert mixed == [] and len(files) == len(set(files)) == 16
