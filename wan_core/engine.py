"""One request, from text to file."""

from __future__ import annotations

import logging
import secrets
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wan_core.catalog import ModelSpec, Role, find_model, resolve, validate
from wan_core.manager.devices import PeakMemory
from wan_core.manager.model_manager import ModelManager
from wan_core.media.atomic import sweep_partials
from wan_core.media.inputs import InputStore
from wan_core.media.joining import joined_frames
from wan_core.media.metadata import request_metadata
from wan_core.media.write import (
    POSTER_SUFFIX,
    new_video_path,
    require_writable,
    write_image,
    write_poster,
    write_video,
)
from wan_core.pipelines.conditioning.kept import kept_pixels, paste
from wan_core.pipelines.conditioning.types import ConditioningJob
from wan_core.pipelines.generation import decode_latents, generate_latents
from wan_core.pipelines.latents import load_latents, prune_latents, save_latents
from wan_core.pipelines.prompt_encoding import PromptCache, prompt_warnings
from wan_core.pipelines.settling import repeated_frames, settle
from wan_core.schema import (
    Emit,
    GenerationRequest,
    GenerationResult,
    MediaError,
    OutOfMemory,
    PartUse,
    ProgressEvent,
    Settings,
    Stage,
)

_log = logging.getLogger(__name__)

# How a CPU, cuBLAS, cuDNN and MPS say it: plain RuntimeErrors.
_MEMORY_MARKS = ("can't allocate memory", "ALLOC_FAILED", "out of memory")

_PART_OF = {Stage.ENCODE: Role.TEXT_ENCODER, Stage.DENOISE: Role.TRANSFORMER, Stage.DECODE: Role.VAE}

LATENTS_KEPT = 2 * 2**30  # bytes of finished latents; the oldest go first


def ignore(event: ProgressEvent) -> None:
    """An ``Emit`` that nobody listens to and that never stops a job."""


class StageClock:
    """An ``Emit`` that fills in each event's seconds and passes it on.

    What comes after an event belongs to its stage and part of the model, until the next event.
    """

    def __init__(self, emit: Emit, peak: PeakMemory) -> None:
        self.seconds: dict[str, float] = {}
        self.parts: dict[str, PartUse] = {}
        self._emit = emit
        self._peak = peak
        self._stage: Stage | None = None
        self._part = ""
        self._since = time.perf_counter()

    def __call__(self, event: ProgressEvent) -> None:
        self.stop()
        self._stage = event.stage
        self._part = event.part or _PART_OF.get(event.stage, "")
        self._emit(event.model_copy(update={"seconds": self.seconds.get(event.stage, 0.0)}))

    def stop(self) -> None:
        """Book the time and the memory until now."""
        now, memory = time.perf_counter(), self._peak.sample()
        passed, self._since = now - self._since, now
        if self._stage is not None:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + passed
        if self._part:
            use = self.parts.get(self._part, PartUse(load_seconds=0.0, peak_bytes=0))
            self.parts[self._part] = PartUse(
                load_seconds=use.load_seconds + (passed if self._stage is Stage.LOAD else 0.0),
                peak_bytes=max(use.peak_bytes, memory),
            )


@dataclass
class _Job:
    """What one run carries from stage to stage."""

    spec: ModelSpec
    request: GenerationRequest
    target: Path
    clock: StageClock
    peak: PeakMemory
    latents: Tensor | None = None
    poster: np.ndarray | None = None
    thumbnail: Path | None = None
    warnings: tuple[str, ...] = ()


class Engine:
    """Runs requests one at a time and keeps models and prompt embeddings between them.

    Args:
        settings: folders, device and precision.
        manager: where parts are borrowed; None makes one from the settings.
    """

    def __init__(self, settings: Settings, manager: ModelManager | None = None) -> None:
        self.settings = settings
        self.manager = manager or ModelManager(settings)
        self.inputs = InputStore(settings.inputs_dir)
        self._prompts = PromptCache()
        for folder in (settings.outputs_dir, settings.inputs_dir):
            sweep_partials(folder)

    def generate(
        self,
        request: GenerationRequest,
        emit: Emit = ignore,
        job_id: str | None = None,
        output: Path | None = None,
    ) -> GenerationResult:
        """Make the video of a request.

        The latents are saved in ``settings.latents_dir/<job_id>.safetensors`` before they are decoded,
        so a failure after that costs no denoising: the same job run again starts from them, and so does
        ``decode``.

        Args:
            request: open fields are filled in with the model's defaults, seed -1 with a new seed.
            emit: told every step; raises ``Cancelled`` to stop the job within one step.
            job_id: names the files; None is a new one.
            output: the video's file, replaced if it exists, with no poster beside it; None is a new one
                in ``outputs_dir``, with its poster.

        Raises:
            InvalidRequest: the request does not fit the model.
            WeightsError: a checkpoint is missing, damaged or cannot be downloaded.
            GenerationFailed: the result is no video (NaN, or one colour).
            OutOfMemory: the device is too small; what it held is freed.
            MediaError: a file could not be written.
            Cancelled: ``emit`` said so.
        """
        spec, job_id = validate(request), job_id or secrets.token_hex(6)
        request, settled = settle(resolve(request), spec, self.inputs)
        job = self._start(request, emit, job_id, output)
        job.latents = self._saved_latents(request, job_id)

        def work() -> GenerationResult:
            if job.latents is None:
                making = ConditioningJob(self.manager, spec, request, self.inputs, job.clock)
                job.latents = generate_latents(making, self._prompts)
                save_latents(job.latents, self.latents_path(job_id), request)
                prune_latents(self.settings.latents_dir, LATENTS_KEPT)
            told = prompt_warnings(self.manager, spec, request, self._prompts, job.clock)
            job.warnings = (*settled, *told)
            return self._finish(job)

        return self._again_if_short_of_memory(work)

    def decode(
        self, latents_file: Path, emit: Emit, job_id: str, output: Path | None = None
    ) -> GenerationResult:
        """Make the video of latents that an earlier job saved; as ``generate`` from there on."""
        latents, request = load_latents(latents_file)
        job = self._start(request, emit, job_id, output)
        job.latents = latents
        return self._again_if_short_of_memory(lambda: self._finish(job))

    def latents_path(self, job_id: str) -> Path:
        """Where a job's latents are kept."""
        return self.settings.latents_dir / f"{Path(job_id).name}.safetensors"

    def unload(self) -> None:
        """Drop all models."""
        self.manager.unload()

    def _start(self, request: GenerationRequest, emit: Emit, job_id: str, output: Path | None) -> _Job:
        suffix = f".{request.image_format}" if request.task == "t2i" else ".mp4"
        target = output or new_video_path(self.settings.outputs_dir, job_id, suffix)
        require_writable(target.parent)
        peak = PeakMemory(self.manager.device)
        job = _Job(find_model(request.model), request, target, StageClock(emit, peak), peak)
        if output is None:
            job.thumbnail = target.with_name(f"{target.stem}{POSTER_SUFFIX}")
        return job

    def _saved_latents(self, request: GenerationRequest, job_id: str) -> Tensor | None:
        """What an earlier run of the same job finished denoising, if it got that far."""
        try:
            latents, saved = load_latents(self.latents_path(job_id))
        except MediaError:  # there are none, or they are damaged
            return None
        return latents if saved == request else None

    def _finish(self, job: _Job) -> GenerationResult:
        """Decode, write the video or picture and its poster."""
        request, target = job.request, job.target
        with closing(self._frames(job)) as frames:
            self._write(frames, job)
        if job.thumbnail is not None:
            write_poster(job.poster, job.thumbnail)
        job.clock(ProgressEvent(stage=Stage.SAVE, step=1, total=1))
        job.clock.stop()
        return GenerationResult(
            video=target,
            thumbnail=job.thumbnail,
            request=request,
            seconds=job.clock.seconds,
            peak_bytes=job.peak.bytes,
            parts=job.clock.parts,
            warnings=job.warnings,
        )

    def _write(self, frames: Iterator[np.ndarray], job: _Job) -> None:
        request, target = job.request, job.target
        metadata = request_metadata(request) if request.embed_metadata else {}
        if request.task == "t2i":
            (picture,) = frames
            write_image(picture[0], target, request.image_format, metadata)
            return
        if request.continues:
            before = self.inputs.path(request.continues)
            frames = joined_frames(before, frames, repeated_frames(request), request.fps, request.fit)
        write_video(frames, target, request.fps, request.crf, metadata)

    def _frames(self, job: _Job) -> Iterator[np.ndarray]:
        """The decoded chunks on their way to the encoder; the middle frame is kept for the poster."""
        middle, done = job.request.num_frames // 2, 0
        rounded = job.request.task == "t2i"
        making = ConditioningJob(self.manager, job.spec, job.request, self.inputs, job.clock)
        kept = kept_pixels(making)
        with closing(decode_latents(self.manager, job.spec, job.latents, job.clock, rounded)) as chunks:
            for chunk in paste(chunks, kept) if kept else chunks:
                if done <= middle < done + len(chunk):
                    job.poster = chunk[middle - done].copy()
                done += len(chunk)
                yield chunk
        job.clock(ProgressEvent(stage=Stage.SAVE, step=0, total=1))

    def _again_if_short_of_memory(self, work: Callable[[], GenerationResult]) -> GenerationResult:
        """Run ``work``; when memory runs out, again with an empty device, and at last with empty RAM.

        A step that has nothing to free is left out. Finished latents stay.
        """
        reliefs = iter((self.manager.withdraw, self.manager.unload))
        freed = True
        while freed:
            try:
                return work()
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                _log.warning("Out of memory: %s", str(error).partition("\n")[0])
                traceback.clear_frames(error.__traceback__)  # their locals hold tensors
            freed = any(relieve() for relieve in reliefs)  # the first that frees something
        self.unload()
        raise OutOfMemory(
            f"The device ({self.manager.device.type}) ran out of memory; choose a smaller size, fewer frames "
            "or precision bf16, or close other programs that use it."
        )


def _is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(mark in str(error) for mark in _MEMORY_MARKS)
