"""An engine without torch for the worker's tests; the prompt is its script.

``python -m tests.jobs.fake_engine SETTINGS`` is a worker with it. A prompt is a list of words:
``steps=N``, ``sleep=S`` (seconds per step), ``die=SIGNAL`` or ``die-once=SIGNAL`` (at step 2), ``fail``,
``bug``, ``cut`` (reads a mapped file that has become shorter), ``deaf`` (never looks whether it was
cancelled), ``oom`` (unless the job has a profile), ``oom-decode`` (once, with the latents kept).
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
import sys
import time
from pathlib import Path

from tests import running_out
from wan_core.jobs.job import Job
from wan_core.jobs.runner import Run
from wan_core.jobs.worker import serve
from wan_core.schema import (
    Emit,
    GenerationFailed,
    GenerationResult,
    ProgressEvent,
    Settings,
    Stage,
)


def fake_run(settings: Settings) -> Run:
    """A ``run`` that follows its prompt and writes its video into ``settings.outputs_dir``."""

    def run(job: Job, emit: Emit) -> GenerationResult:
        request, job_id = job.request, job.id
        words = dict(word.partition("=")[::2] for word in request.prompt.split())
        steps, sleep = int(words.get("steps", 3)), float(words.get("sleep", 0))
        for step in range(1, steps + 1):
            time.sleep(sleep)
            if step == 2:
                _perform(words, settings, job)
            if "deaf" not in words:
                emit(
                    ProgressEvent(
                        stage=Stage.DENOISE,
                        step=step,
                        total=steps,
                        seconds=step * sleep,
                        preview=b"preview %d" % step,
                    )
                )
        (settings.home / f"tile-{job_id}").write_text(str(settings.vae_tile))
        settings.outputs_dir.mkdir(parents=True, exist_ok=True)
        video, thumbnail = (settings.outputs_dir / f"{job_id}{end}" for end in (".mp4", ".webp"))
        video.write_bytes(b"video")
        thumbnail.write_bytes(b"thumbnail")
        seconds = {"load": 100.0, "denoise": 8.0, "decode": 2.0}
        return GenerationResult(
            video=video, thumbnail=thumbnail, request=request, seconds=seconds, peak_bytes=7
        )

    return run


def _perform(words: dict[str, str], settings: Settings, job: Job) -> None:
    if "fail" in words:
        raise GenerationFailed("The video is one colour; try another seed.")
    if "bug" in words:
        raise ZeroDivisionError("a secret path")
    if "cut" in words:
        _read_what_is_cut(settings.home / f"mapped-{job.id}")
    if "oom" in words:
        running_out.while_denoising(job)
    if "oom-decode" in words:
        running_out.while_decoding(settings, job)
    name = words.get("die") or words.get("die-once")
    died_before = settings.home / f"died-{job.id}"
    if name is None or ("die-once" in words and died_before.exists()):
        return
    died_before.touch()
    os.kill(os.getpid(), signal.Signals[name])


def _read_what_is_cut(path: Path) -> None:
    path.write_bytes(bytes(3 * mmap.PAGESIZE))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        file.truncate(1)
        mapped[2 * mmap.PAGESIZE]


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    chosen = Settings.model_validate_json(sys.argv[1])
    status = {"device": "Fake", "memory_used": 1, "memory_total": 2, "components": {"vae": 3}}
    serve(chosen, lambda: (fake_run(chosen), lambda: status))
