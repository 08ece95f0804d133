"""Processes that read foreign files: what a file does to them stays there, and others are read on."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wan_core.confined.helpers import HelperDied, HelperLate, Helpers
from wan_core.confined.limits import limited
from wan_core.media import ffmpeg, pictures
from wan_core.media.read import probe, read_image
from wan_core.schema import MediaError

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

MODULE = "tests.faults.naughty"


@pytest.fixture
def helpers() -> Iterator[Helpers]:
    made = Helpers(MODULE, seconds=20.0)
    yield made
    made.close()


@pytest.mark.parametrize("deed", ["eat", "work", "crash", "leave"])
def test_what_a_limit_or_a_crash_ends_is_replaced(helpers: Helpers, deed: str) -> None:
    first = helpers.ask({"do": "nothing"}).values["pid"]
    with pytest.raises(HelperDied):
        helpers.ask({"do": deed})
    answer = helpers.ask({"do": "nothing", "echo": "here"})
    assert answer.data == b"here" and answer.values["pid"] != first
    assert not _is_alive(first)


def test_what_does_not_answer_is_killed() -> None:
    helpers = Helpers(MODULE, seconds=1.5)
    begun = time.monotonic()
    with pytest.raises(HelperLate):
        helpers.ask({"do": "sleep"})
    assert 1.4 < time.monotonic() - begun < 10
    helpers.close()


def test_a_helper_answers_many_questions_and_writes_no_file(helpers: Helpers, tmp_path: Path) -> None:
    pids = {helpers.ask({"do": "nothing"}).values["pid"] for _ in range(20)}
    assert len(pids) == 1
    helpers.ask({"do": "talk"})
    told = helpers.ask({"do": "write", "path": str(tmp_path / "a")}).values
    assert "refused" in told and (tmp_path / "a").stat().st_size == 0


def test_a_helper_knows_no_login(helpers: Helpers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert "hf_secret" not in helpers.ask({"do": "environment"}).values.values()


def test_questions_of_many_threads_get_their_own_answers(helpers: Helpers) -> None:
    wrong: list[str] = []

    def ask(name: str) -> None:
        for _ in range(10):
            if helpers.ask({"do": "nothing", "echo": name}).data != name.encode():
                wrong.append(name)

    threads = [threading.Thread(target=ask, args=(f"{n}" * 1000,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_helper_ends_with_whoever_asks() -> None:
    """Also when that is killed: its standard input closes."""
    code = (
        "import os, signal\n"
        "from wan_core.confined.helpers import Helpers\n"
        f"print(Helpers({MODULE!r}, 20).ask({{'do': 'nothing'}}).values['pid'], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(["python", "-c", code], capture_output=True, check=False)
    pid, deadline = int(done.stdout), time.monotonic() + 20
    while _is_alive(pid):
        assert time.monotonic() < deadline, "the helper outlives its parent"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("crash", "is a damaged picture"),
        ("eat", "is a damaged picture"),
        ("sleep", "takes too long to decode"),
    ],
)
def test_a_picture_that_ends_its_decoder_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str, said: str
) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(path)

    class Naughty(Helpers):
        def ask(self, question):
            return super().ask(question | {"do": deed})

    monkeypatch.setattr(pictures, "_helpers", Naughty(MODULE, seconds=2.0))
    with pytest.raises(MediaError, match=rf"a\.png {said}"):
        read_image(path)
    monkeypatch.undo()
    assert read_image(path).shape == (32, 32, 3)


@pytest.mark.parametrize("deed", ["kill -SEGV $$", "exit 3", "head -c 5000000 /dev/zero", "kill -KILL $$"])
def test_a_video_decoder_that_dies_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(100))
    stub = tmp_path / "ffmpeg"
    stub.write_text(f"#!/bin/sh\n{deed}\n")
    stub.chmod(0o755)
    monkeypatch.setattr(ffmpeg.imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(stub))
    with pytest.raises(MediaError, match=r"a\.mp4 .*\.$"):
        probe(tmp_path / "a.mp4")


def test_a_foreign_program_has_its_limits(tmp_path: Path) -> None:
    """Memory, work and the size of files, in its own process and no other."""
    eat = ["python3", "-c", "bytearray(400 * 2**20)"]
    assert subprocess.run(limited(eat, 200 * 2**20, 10, 0), capture_output=True, check=False).returncode
    assert subprocess.run(limited(eat, 2**31, 10, 0), capture_output=True, check=False).returncode == 0
    spin = ["python3", "-c", "while True: pass"]
    assert subprocess.run(limited(spin, 2**31, 1, 0), check=False).returncode < 0
    write = ["sh", "-c", f"head -c 9000 /dev/zero > '{tmp_path}/a'"]
    subprocess.run(limited(write, 2**31, 5, 1024), capture_output=True, check=False)
    assert (tmp_path / "a").stat().st_size <= 1024
    words = subprocess.run(
        limited(["echo", "a b", "$HOME; `id`"], 2**31, 5, 0), capture_output=True, check=True
    )
    assert words.stdout == b"a b $HOME; `id`\n"


def _is_alive(pid: int) -> bool:
    """Whether a process still works; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
    finally:
        os.sched_yield()
