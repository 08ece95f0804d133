"""An engine that draws instead of dreaming: it reports and writes files as the real one does."""

from __future__ import annotations

import time

import numpy as np

from tests import running_out
from wan_core.catalog import resolve
from wan_core.jobs.job import Job
from wan_core.jobs.runner import Run
from wan_core.media.metadata import request_metadata
from wan_core.media.naming import new_path
from wan_core.media.write import POSTER_SUFFIX, animated_webp, write_clip, write_image, write_poster
from wan_core.prompts.templates import draw_request
from wan_core.schema import (
    Emit,
    GenerationFailed,
    GenerationRequest,
    GenerationResult,
    ProgressEvent,
    Settings,
    Stage,
)

FAILING_PROMPT = "nothing but NaN"
UNLUCKY_SEED = 13
"""Fails where the prompt says "unlucky"."""
LARGE_PROMPT = "more than the device holds"
"""Fails for want of memory, unless the job has a profile of its own."""
UNDECODED_PROMPT = "latents without a video"
"""Fails once while decoding, with the latents kept."""

_PACES = {"slowly": 0.25, "leisurely": 0.7, "endlessly": 3.0}
_PACE = 0.01


def draw(request: GenerationRequest) -> np.ndarray:
    """A disc that crosses the picture: frames (T, H, W, 3), uint8."""
    height, width, count = request.height, request.width, request.num_frames
    y, x = np.mgrid[0:height, 0:width]
    frames = np.empty((count, height, width, 3), np.uint8)
    for number in range(count):
        centre = width * (0.15 + 0.7 * number / max(count - 1, 1))
        inside = (x - centre) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 5) ** 2
        frames[number] = np.where(inside[..., None], (220, 60, 50), (150, 200, 235))
    return frames


def fake_run(settings: Settings) -> Run:
    """A ``run`` for ``InlineExecutor``; a word of ``_PACES`` in the prompt sets the seconds per step."""

    def run(job: Job, emit: Emit) -> GenerationResult:
        request, job_id = draw_request(resolve(job.request), settings.wildcards_dir), job.id
        frames = draw(request)
        emit(ProgressEvent(stage=Stage.LOAD, step=1, total=1))
        pace = next((pace for word, pace in _PACES.items() if word in request.prompt), _PACE)
        start, total = time.time(), request.num_inference_steps
        for step in range(1, total + 1):
            time.sleep(pace)
            preview = animated_webp(frames[::2, ::4, ::4], 250) if step % request.preview_every == 0 else None
            emit(
                ProgressEvent(
                    stage=Stage.DENOISE,
                    step=step,
                    total=total,
                    seconds=time.time() - start,
                    preview=preview,
                )
            )
        is_unlucky = "unlucky" in request.prompt and request.seed == UNLUCKY_SEED
        if request.prompt == FAILING_PROMPT or is_unlucky:
            raise GenerationFailed("The video came out as NaN; try another seed.")
        if request.prompt == LARGE_PROMPT:
            running_out.while_denoising(job)
        if request.prompt == UNDECODED_PROMPT:
            running_out.while_decoding(settings, job)
        settings.outputs_dir.mkdir(parents=True, exist_ok=True)
        video, told = new_path(settings.outputs_dir, request, job_id), request_metadata(request)
        if request.task == "t2i":
            write_image(frames[0], video, request.image_format, told)
        else:
            write_clip([frames], video, request.fps, request, told)
        poster = video.with_name(f"{video.stem}{POSTER_SUFFIX}")
        write_poster(frames[len(frames) // 2], poster)
        return GenerationResult(
            video=video,
            thumbnail=poster,
            request=request,
            seconds={"denoise": time.time() - start},
            peak_bytes=1,
        )

    return run
