"""Lets every single write of a studio's life fail, or be its last, and looks whether anything is lost.

``python -m tests.faults.every_write --way kill --stride 1`` runs a short life in a home of its own (settings,
a form, an input, two jobs) once for each of its writes: the n-th is refused, all from the n-th on are, or the
process dies just before it. Then a healthy studio opens the home. It prints a ``Report``.

The writes are counted and refused by ``refusing_disk.c``, between this process and the C library, SQLite's
included.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from tests.faults.crashes import integrity, visible
from tests.faults.drawing import drawing
from tests.faults.forks import in_child
from tests.faults.small_studio import SIZE
from wan_core.jobs import executors, runner
from wan_core.jobs.executors import InlineExecutor
from wan_core.jobs.job import JobStatus
from wan_core.manager.kept_forms import keep_form, kept_forms
from wan_core.manager.kept_settings import KeptSettings
from wan_core.media.inputs import InputStore
from wan_core.media.read import probe
from wan_core.schema import GenerationRequest, MediaError, Settings, WanStudioError

SOURCE = Path(__file__).with_name("refusing_disk.c")
ROOT = Path(__file__).resolve().parents[2]
END = 10**9

WAYS = {
    "kill": (0, False),
    "full-once": (errno.ENOSPC, False),
    "full": (errno.ENOSPC, True),
    "error-once": (errno.EIO, False),
    "read-only": (errno.EROFS, True),
}
"""The error, 0 to die, and whether all later writes fail as well."""

_JOBS = 2
_LIFE_SECONDS, _RECOVERY_SECONDS = 4.0, 30.0


@dataclass
class Report:
    """``writes`` of an undisturbed life, ``cases`` tried, and for each case that went wrong what did."""

    way: str
    writes: int
    cases: int = 0
    wrong: dict[int, list[str]] = field(default_factory=dict)


def build(folder: Path) -> Path:
    """Compile the library into ``folder``.

    Raises:
        OSError, CalledProcessError: there is no C compiler, or it refuses.
    """
    library = folder / "refusing_disk.so"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return library


def run(way: str, stride: int, offset: int, folder: Path) -> Report:
    """Try every ``stride``-th write from ``offset`` on, in a process of its own; see ``Report``."""
    command = [sys.executable, "-m", "tests.faults.every_write", "--way", way, "--stride", str(stride)]
    done = subprocess.run(
        [*command, "--offset", str(offset), "--folder", str(folder)],
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": str(build(folder))},
        capture_output=True,
        text=True,
        check=True,
    )
    values = json.loads(done.stdout.splitlines()[-1])
    values["wrong"] = {int(number): found for number, found in values["wrong"].items()}
    return Report(**values)


def live(home: Path, say: Callable[[str, str], None]) -> None:
    """A short life of a studio; ``say`` is told what was acknowledged."""
    settings = Settings(home=home, device="cpu", offline=True)
    kept = KeptSettings(settings)
    _refusable(lambda: kept.change({"vae_tile": 128}), say)
    keep_form(settings, "t2v", GenerationRequest(prompt="kept"))
    _refusable(lambda: _keep_input(settings, say), say)
    executor = InlineExecutor(settings, drawing(settings))
    executor.start()
    ids: list[str] = []
    for number in range(_JOBS):
        _refusable(lambda number=number: ids.append(executor.submit(_request(number))), say)
        say("acknowledged", ids[-1]) if len(ids) > number else None
    deadline = time.monotonic() + _LIFE_SECONDS
    while time.monotonic() < deadline and any(not _is_final(executor, job_id) for job_id in ids):
        time.sleep(0.02)
    executor.stop()


def _request(number: int) -> GenerationRequest:
    return GenerationRequest(model="demo", prompt=f"number {number}", seed=number, **SIZE)


def _refusable(work: Callable[[], object], say: Callable[[str, str], None]) -> None:
    """A disk may refuse, in a sentence; whatever else is raised is wrong."""
    try:
        work()
    except (WanStudioError, OSError) as error:
        say("refused", str(error))


def _keep_input(settings: Settings, say: Callable[[str, str], None]) -> None:
    with tempfile.TemporaryDirectory() as outside:
        picture = Path(outside, "picture.png")
        Image.fromarray(np.full((32, 32, 3), 99, np.uint8)).save(picture)
        say("input", InputStore(settings.inputs_dir).keep(picture))


def _is_final(executor: InlineExecutor, job_id: str) -> bool:
    job = executor.store.get(job_id)
    return job is not None and job.status.is_final


def check(home: Path, told: list[tuple[str, str]]) -> list[str]:
    """Open what is left with a healthy studio; returns what is wrong."""
    settings = Settings(home=home, device="cpu", offline=True)
    wrong = [words for kind, words in told if kind == "unexpected"]
    kept = KeptSettings(settings)
    if kept.notice or kept.current.vae_tile not in (128, 256):
        wrong.append(f"settings: {kept.notice}")
    if kept_forms(settings).get("t2v", {"prompt": "kept"})["prompt"] != "kept":
        wrong.append("form")
    inputs = InputStore(settings.inputs_dir)
    for kind, name in told:
        if kind == "input":
            try:
                probe(inputs.path(name))
            except MediaError as error:
                wrong.append(f"input: {error}")
    executor = InlineExecutor(settings, drawing(settings))
    wrong += [executor.store.notice] if executor.store.notice else []
    executor.start()
    wrong += _jobs(executor, [job_id for kind, job_id in told if kind == "acknowledged"])
    executor.stop()
    if len(made := executor.store.list()) > _JOBS:
        wrong.append(f"{len(made)} jobs")  # a result that was taken for a stranger's
    names = {job.result.video.stem for job in executor.store.list() if job.result}
    for path in visible(settings):
        if path.name.partition(".")[0] not in names:
            wrong.append(f"stranger {path.name}")
        try:
            probe(path)
        except MediaError as error:
            wrong.append(f"partial: {error}")
    if (verdict := integrity(settings.store_path)) != "ok":
        wrong.append(verdict)
    return wrong


def _jobs(executor: InlineExecutor, acknowledged: list[str]) -> list[str]:
    """Wait for all jobs, and once more for those that had failed; returns what is wrong."""
    wrong: list[str] = []
    deadline = time.monotonic() + _RECOVERY_SECONDS
    for _ in range(2):
        while executor.store.queue() and time.monotonic() < deadline:
            time.sleep(0.02)
        for job in executor.store.list(statuses=[JobStatus.FAILED]):
            if job.error.count(".") < 1:
                wrong.append(f"no sentence: {job.error!r}")
            executor.retry(job.id)
    for job_id in acknowledged:
        job = executor.store.get(job_id)
        if job is None or job.status is not JobStatus.DONE:
            wrong.append(f"job {job and (job.status, job.error)}")
    return wrong


def try_all(way: str, stride: int, offset: int, folder: Path) -> Report:
    """The report, in this process, which has the library loaded."""
    library = ctypes.CDLL(None)
    code, lasting = WAYS[way]
    runner.PATIENCE_SECONDS, runner.RETRY_SECONDS, executors._RETRY_SECONDS = 0.5, 0.05, 0.1

    def case(number: int) -> list[tuple[str, str]]:
        home = folder / f"{way}-{number}"

        def work(say: Callable[[str, str], None]) -> None:
            library.refuse(str(home).encode(), number, END if lasting else number, code)
            live(home, say)
            say("count", str(library.refused_count()))

        return in_child(work, _LIFE_SECONDS + 20)

    counted = dict(case(END - 1))
    report = Report(way, int(counted["count"]))
    for number in range(offset, report.writes + 1, stride):
        told, home = case(number), folder / f"{way}-{number}"
        found = in_child(lambda say, h=home, t=told: [say("w", words) for words in check(h, t)] and None, 90)
        report.cases += 1
        if found:
            report.wrong[number] = [words for _, words in found]
        shutil.rmtree(home, ignore_errors=True)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=WAYS, default="kill")
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--offset", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if "refusing_disk" not in os.environ.get("LD_PRELOAD", ""):
        with tempfile.TemporaryDirectory() as folder:
            print(run(options.way, options.stride, options.offset, Path(folder)))
        return
    print(json.dumps(asdict(try_all(options.way, options.stride, options.offset, options.folder))))


if __name__ == "__main__":
    main()
