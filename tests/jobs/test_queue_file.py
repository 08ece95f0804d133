"""A queue as a file: what goes in comes out in order, and whoever wrote the file, nothing else does."""

from __future__ import annotations

import json
import os
import random
import stat
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.faults.corpus.settings_files import _VALUES as LYING
from tests.jobs.conftest import request
from wan_core.catalog import validate
from wan_core.cli import main
from wan_core.jobs.public_rules import PublicRules
from wan_core.jobs.queue_file import load_queue, save_queue
from wan_core.jobs.queue_zip import LIMITS, MANIFEST, open_queue
from wan_core.jobs.store import JobStore
from wan_core.jobs.visitors import OwnJobs
from wan_core.media.inputs import InputStore
from wan_core.media.metadata import request_metadata
from wan_core.schema import GenerationRequest, MediaError, Settings
from wan_core.schema.lora import LoraUse

PICTURE = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)


@pytest.fixture
def other(tmp_path: Path) -> Settings:
    """Another machine."""
    return Settings(home=tmp_path / "other", offline=True)


def jobs_of(*requests: GenerationRequest) -> list[dict[str, Any]]:
    return [request_metadata(each) for each in requests]


def packed(path: Path, jobs: Any, inputs: dict[str, bytes] | None = None, method: int = 0) -> Path:
    """A file as somebody else may write it."""
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(MANIFEST, json.dumps({"wan_studio_queue": 1, "jobs": jobs}))
        for name, data in (inputs or {}).items():
            archive.writestr(name, data)
    return path


def load(path: Path, settings: Settings) -> tuple[list[str], list[str]]:
    """The prompts that wait afterwards, and what was said."""
    store = JobStore(settings.store_path)
    try:
        loaded = load_queue(path, settings, store.submit)
        said = [f"{line.number}: {one}" for line in (*loaded.refused, *loaded.noted) for one in line.said]
        return [job.request.prompt for job in store.queue()], said
    finally:
        store.close()


def test_a_queue_comes_back_elsewhere_as_it_was(
    store: JobStore, settings: Settings, other: Settings, tmp_path: Path
) -> None:
    picture = InputStore(settings.inputs_dir).keep_picture(PICTURE)
    for wanted in (
        request("first", seed=7),
        request(
            "<b>second</b>", model="demo-image", task="i2v", image=picture, seed=8, crops="image=0,0,0.5,1"
        ),
        request("third", seed=9, num_inference_steps=3),
    ):
        store.submit(wanted)
    store.move(store.queue()[2].id, store.queue()[0].id)
    saved = [job.request for job in store.queue()]
    path = tmp_path / "queue.zip"
    assert save_queue(saved, path, settings) == ()
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [MANIFEST, f"inputs/{picture}"]
        assert json.loads(archive.read(MANIFEST))["wan_studio_queue"] == 1
    theirs = JobStore(other.store_path)
    loaded = load_queue(path, other, theirs.submit)
    assert (len(loaded.jobs), loaded.total, loaded.refused, loaded.noted) == (3, 3, (), ())
    assert [job.request for job in theirs.queue()] == saved
    assert [job.id for job in theirs.queue()] == list(loaded.jobs)
    theirs.close()
    kept = InputStore(other.inputs_dir).path(picture).read_bytes()
    assert kept == InputStore(settings.inputs_dir).path(picture).read_bytes()


def test_what_is_wrong_with_one_job_stops_no_other(settings: Settings, tmp_path: Path) -> None:
    gone = "0" * 32 + ".png"
    jobs = [
        *jobs_of(request("good")),
        {"wan_studio_request": {"prompt": "bad", "num_frames": 18}},
        {"wan_studio_request": {"prompt": "newer", "sparkle": 3}},
        *jobs_of(request("styled", loras=(LoraUse(file="gone.safetensors"),))),
        *jobs_of(request("moved", model="demo-image", task="i2v", image=gone)),
        {"wan_studio_request": {"prompt": "elsewhere", "model": "wan9"}},
        *jobs_of(request("unfit", model="demo", task="i2v")),
        {"wan_studio_files": {}},
        7,
        *jobs_of(request("last")),
    ]
    prompts, said = load(packed(tmp_path / "queue.zip", jobs), settings)
    assert prompts == ["good", "newer", "last"]
    found = {line.partition(": ")[0]: line.partition(": ")[2] for line in said}
    assert sorted(found) == ["2", "3", "4", "5", "6", "7", "8", "9"]
    assert found["2"].startswith("num_frames: ")
    assert found["3"] == "Settings that this version does not know were left out: sparkle."
    assert found["4"] == "The LoRA gone.safetensors is not in any folder of LoRAs."
    assert "neither on this machine nor in the file" in found["5"]
    assert found["6"].startswith("The model wan9 is not known here")
    assert found["7"].startswith("task: ")
    assert found["8"] == found["9"] == "request: there is none. Save the queue again."


def test_a_lora_is_found_by_its_content(settings: Settings, other: Settings, tmp_path: Path) -> None:
    for home, name in ((settings, "mine.safetensors"), (other, "theirs.safetensors")):
        home.loras_dir.mkdir(parents=True)
        (home.loras_dir / name).write_bytes(b"what it weighs")
    path = tmp_path / "queue.zip"
    save_queue([request("styled", loras=(LoraUse(file="mine.safetensors"),))], path, settings)
    store = JobStore(other.store_path)
    loaded = load_queue(path, other, store.submit)
    assert [str(one) for line in loaded.noted for one in line.said] == [
        "The LoRA mine.safetensors is here as theirs.safetensors."
    ]
    assert store.queue()[0].request.loras[0].file == "theirs.safetensors"
    store.close()


def test_inputs_are_what_their_names_say_or_nothing(settings: Settings, tmp_path: Path) -> None:
    store = InputStore(tmp_path / "elsewhere")
    name = store.keep_picture(PICTURE)
    other = store.keep_picture(255 - PICTURE)
    wanted = request("moved", model="demo-image", task="i2v", image=name)
    lies = {f"inputs/{name}": store.path(other).read_bytes()}
    prompts, said = load(packed(tmp_path / "lies.zip", jobs_of(wanted), lies), settings)
    assert prompts == [] and "neither on this machine nor in the file" in said[0]
    assert not settings.inputs_dir.exists() or list(settings.inputs_dir.iterdir()) == []
    true = {"inputs/": b"", f"inputs/{name}": store.path(name).read_bytes()}
    path = packed(tmp_path / "true.zip", jobs_of(wanted), true, zipfile.ZIP_DEFLATED)
    assert load(path, settings) == (["moved"], [])
    assert [file.name for file in settings.inputs_dir.iterdir()] == [name]


def damaged(change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        packed(path, jobs_of(request("good")))
        path.write_bytes(change(path.read_bytes()))
        return path

    return make


def member(name: str, mode: int = 0, data: bytes = b"x") -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        packed(path, jobs_of(request("good")))
        with zipfile.ZipFile(path, "a") as archive:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, data)
        return path

    return make


def manifest(text: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(MANIFEST, text)
        return path

    return make


def bomb(path: Path) -> Path:
    """Five gigabytes in a few kilobytes, by what its directory says."""
    name = f"inputs/{'a' * 32}.png"
    packed(path, [], {name: b"x" * 999}, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.rindex(b"PK\x01\x02") + 24, 2**32 - 2)
    path.write_bytes(data)
    return path


def true_bomb(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, b" " * (LIMITS.manifest + 1))
    return path


def crowd(path: Path) -> Path:
    return packed(path, [], {f"inputs/{number:032x}.png": b"" for number in range(LIMITS.members)})


def without(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inputs/", b"")
    return path


NAME = f"inputs/{'a' * 32}.png"
HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "up": (member("../../evil.png"), "holds ../../evil.png, which is no part of a queue"),
    "up in its folder": (member(f"inputs/../{'a' * 32}.png"), "which is no part of a queue"),
    "absolute": (member("/etc/passwd"), "holds /etc/passwd, which is no part of a queue"),
    "backslashes": (member("..\\evil.png"), "which is no part of a queue"),
    "something else": (member("run.sh"), "holds run.sh, which is no part of a queue"),
    "a line break": (member("a\nb"), "which is no part of a queue"),
    "a link": (member(NAME, stat.S_IFLNK | 0o777, b"/etc/passwd"), "is a link, locked or packed"),
    "a device": (member(NAME, stat.S_IFBLK | 0o777), "is a link, locked or packed"),
    "twice": (member(MANIFEST), f"holds {MANIFEST} twice"),
    "a bomb": (bomb, "unpacks to 4.0 GiB"),
    "a large manifest": (true_bomb, "holds more files than a queue may have"),
    "a crowd": (crowd, "holds more files than a queue may have (2000)"),
    "no queue": (without, "is no queue of this studio"),
    "cut": (damaged(lambda data: data[:-30]), "is no queue of this studio"),
    "no directory": (damaged(lambda data: data.replace(b"PK\x01\x02", b"PK\0\0")), "is a damaged ZIP"),
    "a torn member": (
        damaged(lambda data: data.replace(b"wan_studio_q", b"wan_studio_Q", 1)),
        "is a damaged ZIP",
    ),
    "locked": (damaged(lambda data: _flagged(data, 1)), "is a link, locked or packed"),
    "no bytes": (damaged(lambda data: b""), "is no queue of this studio"),
    "no JSON": (manifest("{"), "is no JSON"),
    "deep JSON": (manifest("[" * 100_000), "is no JSON"),
    "long numbers": (manifest('{"wan_studio_queue": 1, "jobs": [' + "9" * 9999 + "]}"), "is no JSON"),
    "half a character": (manifest('{"wan_studio_queue": 1, "jobs": ["\\ud800"]}'), "is no JSON"),
    "a list": (manifest("[]"), "is no queue of this studio"),
    "no version": (manifest('{"jobs": []}'), "is no queue of this studio"),
    "a later version": (manifest('{"wan_studio_queue": 2, "jobs": []}'), "is a queue of version 2"),
    "jobs that are none": (manifest('{"wan_studio_queue": 1, "jobs": {}}'), "is no queue of this studio"),
    "too many jobs": (manifest(json.dumps({"wan_studio_queue": 1, "jobs": [{}] * 1001})), "holds 1001 jobs"),
}


def _flagged(data: bytes, flag: int) -> bytes:
    changed = bytearray(data)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        changed[changed.index(mark) + place] |= flag
    return bytes(changed)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused_as_a_whole_in_a_line(
    kind: str, store: JobStore, settings: Settings, tmp_path: Path
) -> None:
    make, words = HOSTILE[kind]
    path = make(tmp_path / "given.zip")
    before = {file for file, _, _ in os.walk(tmp_path)}
    with pytest.raises(MediaError) as caught:
        load_queue(path, settings, store.submit)
    assert words in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 200
    assert store.queue() == []
    assert {file for file, _, _ in os.walk(tmp_path)} == before


def test_lying_jobs_are_refused_one_by_one(store: JobStore, settings: Settings, tmp_path: Path) -> None:
    lies = {name: told for name, told in LYING.items() if "half a character" not in name}
    jobs = [
        told
        if isinstance(told, dict) and any(key.startswith("wan_studio") for key in told)
        else {"wan_studio_request": told}
        for told in lies.values()
    ]
    loaded = load_queue(packed(tmp_path / "queue.zip", jobs), settings, store.submit)
    assert loaded.total == len(jobs) > 30 and len(loaded.refused) > 20
    assert len(loaded.jobs) + len(loaded.refused) == len(jobs)
    for line in loaded.refused:
        assert len(line.prompt) <= 80 and line.said
        assert all(len(str(said)) < 1000 for said in line.said), line
    for job in store.queue():
        validate(job.request)
        assert not job.request.named_files() and not job.request.loras


def test_damage_is_refused_or_harmless(store: JobStore, settings: Settings, tmp_path: Path) -> None:
    picture = InputStore(settings.inputs_dir).keep_picture(PICTURE)
    path, chance = tmp_path / "queue.zip", random.Random(7)
    wanted = [request("one"), request("two", model="demo-image", task="i2v", image=picture)]
    save_queue(wanted, path, settings)
    whole, refused = path.read_bytes(), 0
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 2, 8))):
            place = chance.choice((chance.randrange(len(data)), len(data) - 1 - chance.randrange(200)))
            data[place] = chance.randrange(256)
        path.write_bytes(data[: chance.choice((None, None, None, chance.randrange(len(data))))])
        try:
            load_queue(path, settings, lambda wanted: validate(wanted) or "id")
        except MediaError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 50


def test_a_file_that_is_no_zip_or_not_there(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "picture.zip").write_bytes(os.urandom(4096))
    for name in ("picture.zip", "gone.zip"):
        with pytest.raises(MediaError, match=name), open_queue(tmp_path / name):
            pass


def test_a_large_directory_is_never_taken_into_memory(tmp_path: Path) -> None:
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, 2**30, 0, 0)
    (tmp_path / "large.zip").write_bytes(b"PK\x06\x07" + bytes(16) + end)
    (tmp_path / "long.zip").write_bytes(end)
    for name in ("large.zip", "long.zip"):
        with pytest.raises(MediaError, match="more files than a queue may have"), open_queue(tmp_path / name):
            pass


def test_a_visitor_adds_own_jobs_within_the_limits(
    store: JobStore, settings: Settings, tmp_path: Path
) -> None:
    rules = PublicRules(has=lambda spec: True, waiting=1)
    ann = OwnJobs(store, "ann", rules)
    store.submit(request("everybody's"))
    jobs = jobs_of(*(request(name) for name in "abcd"), request("e", num_inference_steps=4))
    jobs.insert(1, request_metadata(request("large", num_inference_steps=99)))
    loaded = load_queue(packed(tmp_path / "queue.zip", jobs), settings, ann.submit)
    assert [job.request.prompt for job in ann.queue()] == ["a", "b"]
    assert [line.number for line in loaded.refused] == [2, 4, 5, 6]
    assert "99 steps are more than a public page makes" in str(loaded.refused[0].said[0])
    assert {str(line.said[0]) for line in loaded.refused[1:]} == {
        "queue: 2 jobs of yours wait or run. Wait until one of them is done."
    }
    path = tmp_path / "anns.zip"
    save_queue([job.request for job in ann.queue()], path, settings)
    with open_queue(path) as archive:
        assert [job["wan_studio_request"]["prompt"] for job in archive.jobs] == ["a", "b"]
    small = replace(LIMITS, total=10)
    with pytest.raises(MediaError, match="unpacks to"):
        load_queue(path, settings, ann.submit, limits=small)


def test_the_command_line(settings: Settings, other: Settings, tmp_path: Path, capsys: Any) -> None:
    store = JobStore(settings.store_path)
    store.submit(request("one"))
    store.submit(request("two"))
    store.claim()
    store.close()
    path = tmp_path / "queue.zip"
    home, elsewhere = ["--home", str(settings.home)], ["--home", str(other.home)]
    assert main(["queue", "save", str(path), *home]) == 0
    assert capsys.readouterr().out == f"1 jobs are in {path}.\n"
    assert main(["queue", "load", str(path), *elsewhere]) == 0
    assert capsys.readouterr().out == "1 of 1 jobs were added; a studio runs them.\n"
    assert main(["queue", *elsewhere]) == 0
    assert capsys.readouterr().out.split() == ["queued", "demo", "two"]
    packed(path, [{"wan_studio_request": {"prompt": "bad", "seed": "x"}}])
    assert main(["queue", "load", str(path), *elsewhere]) == 1
    assert capsys.readouterr().err.startswith("1. bad: seed: 'x' is refused.")
    assert main(["queue", "load", str(tmp_path / "none.zip"), *elsewhere]) == 1
    assert main(["queue", "save", *elsewhere]) == 2
