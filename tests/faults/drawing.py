"""A worker that draws instead of dreaming, and does to the disk what the engine does, without torch.

``python -m tests.faults.drawing SETTINGS`` serves a home with it. The prompt is its script: ``steps=N`` and
``sleep=S`` (seconds per step), ``die=SIGNAL`` (at every first step), ``fail``, ``load=S`` and ``encode=S``
(seconds, the latter for each of three chunks).
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Iterator

import numpy as np

from tests.ui.fake import draw
from wan_core.catalog import resolve
from wan_core.failpoints import failpoint
from wan_core.jobs.job import Job
from wan_core.jobs.runner import Run
from wan_core.jobs.worker import serve
from wan_core.media.atomic import whole_file
from wan_core.media.metadata import request_metadata
from wan_core.media.reserving import release, reserve
from wan_core.media.write import POSTER_SUFFIX, require_writable, write_clip, write_poster
from wan_core.schema import (
    Emit,
    GenerationFailed,
    GenerationRequest,
    GenerationResult,
    MediaError,
    ProgressEvent,
    Settings,
    Stage,
)


def drawing(settings: Settings) -> Run:
    """A ``run`` that writes latents, a reserved video and a poster, in the engine's order."""

    def run(job: Job, emit: Emit) -> GenerationResult:
        request = resolve(job.request)
        words = dict(word.partition("=")[::2] for word in request.prompt.split())
        steps, pace = int(words.get("steps", 3)), float(words.get("sleep", 0))
        require_writable(settings.outputs_dir)
        latents = settings.latents_dir / f"{job.id}.safetensors"
        emit(ProgressEvent(stage=Stage.LOAD, step=0, total=1))
        time.sleep(float(words.get("load", 0)))
        if not latents.exists():
            _denoise(steps, pace, words, emit)
            try:
                with whole_file(latents) as partial:
                    partial.write_bytes(b"latents")
            except OSError:
                logging.warning("no latents are kept")
            failpoint("latents")
        return _write(settings, job.id, request, emit, float(words.get("encode", 0)))

    return run


def _denoise(steps: int, pace: float, words: dict[str, str], emit: Emit) -> None:
    for step in range(1, steps + 1):
        time.sleep(pace)
        if "die" in words:
            os.kill(os.getpid(), signal.Signals[words["die"]])
        if "fail" in words:
            raise GenerationFailed("The video came out as NaN; try another seed.")
        preview = b"preview" if step == 2 else None
        emit(ProgressEvent(stage=Stage.DENOISE, step=step, total=steps, seconds=step * pace, preview=preview))


def _write(
    settings: Settings, job_id: str, request: GenerationRequest, emit: Emit, pause: float
) -> GenerationResult:
    frames = draw(request)

    def chunks() -> Iterator[np.ndarray]:
        for number, chunk in enumerate(np.array_split(frames, 3)):
            emit(ProgressEvent(stage=Stage.DECODE, step=number, total=3))
            time.sleep(pause)
            yield chunk

    try:
        video = reserve(settings.outputs_dir, request, job_id)
    except OSError as error:
        raise MediaError(f"No file can be made ({error.strerror}).") from error
    try:
        write_clip(chunks(), video, request.fps, request, request_metadata(request))
    except BaseException:
        release(video)
        raise
    poster = video.with_name(f"{video.stem}{POSTER_SUFFIX}")
    try:
        write_poster(frames[0], poster)
    except MediaError:
        poster = None
    emit(ProgressEvent(stage=Stage.SAVE, step=1, total=1))
    return GenerationResult(
        video=video, thumbnail=poster, request=request, seconds={"denoise": 1.0}, peak_bytes=1
    )


def drawing_command(settings: Settings) -> tuple[str, ...]:
    """Starts a worker that draws."""
    return sys.executable, "-m", "tests.faults.drawing", settings.model_dump_json()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    chosen = Settings.model_validate_json(sys.argv[1])
    serve(chosen, lambda: (drawing(chosen), lambda: {"device": "Paper"}))
