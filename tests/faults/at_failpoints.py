"""Has the process die at each named place of a real job, and looks what a new one makes of it.

``python -m tests.faults.at_failpoints FOLDER [PLACE ...]`` prints a JSON object: place -> what is wrong
after it, and how long the second process took to end the job. The model is the tiny one; each place has a
fork and a home of its own.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path

import torch

from tests.faults.crashes import integrity, visible
from tests.faults.forks import Say, in_child
from tests.faults.real_engine import executor_of
from tests.tiny import write_tiny_model
from wan_core import failpoints
from wan_core.catalog import MODELS
from wan_core.jobs.executors import InlineExecutor
from wan_core.jobs.job import JobStatus
from wan_core.schema import GenerationRequest, Settings

PLACES = (
    *("commit:1", "commit:2", "commit:5", "committed:1", "committed:4"),
    *("step:1", "step:4", "step:6", "latents", "encode:1", "encode:2", "finish"),
    *("fsync:1", "fsync:2", "fsync:3", "rename:1", "rename:2", "rename:3"),
    *("renamed:1", "renamed:2", "renamed:3", "renamed:4", "step:3:SIGSEGV"),
)
"""Renamed are, in this order, a preview, the latents, the video and its poster."""

ROOT = Path(__file__).resolve().parents[2]

_SECONDS = 60.0


def studio_in(home: Path) -> InlineExecutor:
    """A studio with the real engine."""
    return executor_of(Settings(home=home, device="cpu", precision="fp32", offline=True))


def begin(home: Path, place: str | None, say: Say) -> None:
    """Submit a job and run it; from then on ``place`` is deadly."""
    executor = studio_in(home)
    asked = GenerationRequest(model="tiny", prompt="a red circle", seed=1, preview_every=2)
    say("job", executor.submit(asked))
    if place:
        failpoints._armed = failpoints.Failpoint(place)
    executor.start()
    _until_done(executor)
    say("alive", "")
    executor.stop()


def go_on(home: Path, job_id: str, clean: Path, say: Say) -> None:
    """Open the home again, have the job end, and tell what is wrong."""
    start = time.monotonic()
    executor = studio_in(home)
    executor.start()
    _until_done(executor)
    executor.stop()
    say("seconds", f"{time.monotonic() - start:.2f}")
    jobs = executor.store.list()
    job = executor.store.get(job_id)
    if [other.id for other in jobs] != [job_id] or job.status is not JobStatus.DONE or job.attempts > 2:
        say("wrong", f"jobs: {[(other.id, other.status, other.error) for other in jobs]}")
        return
    if job.result.video.read_bytes() != clean.read_bytes():
        say("wrong", "the video is another one")
    stem = job.result.video.stem
    names = sorted(path.name for path in visible(executor._settings))
    if names != sorted(f"{stem}{end}" for end in (".mp4", ".poster.webp", ".moving.webp")):
        say("wrong", f"files: {names}")
    if (verdict := integrity(executor.store.path)) != "ok":
        say("wrong", verdict)


def _until_done(executor: InlineExecutor) -> None:
    deadline = time.monotonic() + _SECONDS
    while executor.store.queue() and time.monotonic() < deadline:
        time.sleep(0.02)


def main() -> None:
    torch.set_num_threads(1)
    folder, places = Path(sys.argv[1]), sys.argv[2:] or PLACES
    MODELS["tiny"] = write_tiny_model(folder / "tiny")
    logging.disable(logging.CRITICAL)
    in_child(lambda say: begin(folder / "clean", None, say), _SECONDS)
    (clean,) = (folder / "clean" / "outputs").glob("*.mp4")
    report: dict[str, dict[str, object]] = {}
    for place in places:
        home = folder / place.replace(":", "-")
        told = in_child(lambda say, home=home, place=place: begin(home, place, say), _SECONDS)
        job_id = dict(told)["job"]
        if "alive" in dict(told):
            found = [("wrong", "it was never reached")]
        else:
            found = in_child(lambda say, h=home, j=job_id: go_on(h, j, clean, say), _SECONDS)
        wrong = [words for kind, words in (*told, *found) if kind not in ("job", "seconds")]
        report[place] = {"wrong": wrong, "seconds": dict(found).get("seconds")}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
