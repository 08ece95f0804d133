"""One request, from text to file."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from torch import Tensor

from wan_core.catalog import ModelSpec, find_model, resolve, validate
from wan_core.failpoints import failpoint
from wan_core.manager.devices import PeakMemory
from wan_core.manager.model_manager import ModelManager
from wan_core.manager.origins import Origins
from wan_core.manager.speed import set_speed
from wan_core.manager.upscalers import Upscaler, open_upscaler
from wan_core.manager.way_of_computing import fingerprint
from wan_core.media.atomic import sweep_partials
from wan_core.media.inputs import InputStore
from wan_core.media.reserving import release, reserve
from wan_core.media.write import require_writable
from wan_core.pipelines.checkpoint import StepCheckpoint
from wan_core.pipelines.components import VaeWay
from wan_core.pipelines.conditioning.kept import kept_pixels, paste
from wan_core.pipelines.conditioning.types import ConditioningJob
from wan_core.pipelines.dressing import choose_loras
from wan_core.pipelines.generation import decode_latents, generate_latents
from wan_core.pipelines.latents import LATENTS_KEPT, load_latents, prune_latents, save_latents
from wan_core.pipelines.prompt_encoding import PromptCache, prompt_warnings
from wan_core.pipelines.settling import settle
from wan_core.prompts.templates import draw_request
from wan_core.rescue import (
    Rung,
    cheaper_ways,
    level_of,
    lower_level,
    no_room,
    rescue_note,
    rescued,
    too_much,
    undecodable,
)
from wan_core.result_files import metadata_of, notes_on, write_companions, write_result
from wan_core.schema import (
    Cancelled,
    Emit,
    GenerationRequest,
    GenerationResult,
    MediaError,
    OutOfMemory,
    ProgressEvent,
    Settings,
    Stage,
)
from wan_core.schema.inputs import MEDIA_FIELDS
from wan_core.schema.settings import Profile
from wan_core.stage_clock import StageClock

T = TypeVar("T")

_log = logging.getLogger(__name__)


def ignore(event: ProgressEvent) -> None:
    """An ``Emit`` that nobody listens to and that never stops a job."""


@dataclass
class _Job:
    """What one run carries from stage to stage."""

    spec: ModelSpec
    request: GenerationRequest
    id: str
    output: Path | None
    origins: Origins
    clock: StageClock
    peak: PeakMemory
    level: Profile
    way: VaeWay
    enlarge: Upscaler | None = None
    checkpoint: StepCheckpoint | None = None
    merges: bool = False
    holds_name: bool = False
    latents: Tensor | None = None
    poster: np.ndarray | None = None
    told: tuple[str, ...] = ()
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
        self._speed = set_speed(settings, self.manager.device)
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
        profile: Profile | None = None,
        holds_name: bool = False,
    ) -> GenerationResult:
        """Make the video of a request.

        The latents are saved in ``settings.latents_dir/<job_id>.safetensors`` before they are decoded,
        so a failure after that costs no denoising: the same job run again starts from them, and so does
        ``decode``. One that dies before goes on from its last checkpoint, see ``StepCheckpoint``.

        Args:
            request: open fields are filled in with the model's defaults, seed -1 with a new seed, and what
                its prompts leave to chance with words that the seed draws.
            emit: told every step; raises ``Cancelled`` to stop the job within one step.
            job_id: names the files; None is a new one.
            output: the video's file, replaced if it exists, with no poster beside it; None is a new one
                in ``outputs_dir``, with its poster.
            profile: how much of the model is on the device at a time; None is as the settings say.
            holds_name: the name of a new file stays reserved, see ``wan_core.media.reserving``.

        Raises:
            InvalidRequest: the request does not fit the model.
            WeightsError: a checkpoint is missing, damaged or cannot be downloaded.
            GenerationFailed: the result is no video (NaN, or one colour).
            OutOfMemory: the device is too small, see ``wan_core.rescue``; what it held is freed.
            MediaError: a file could not be written.
            Cancelled: ``emit`` said so.
        """
        spec, job_id = validate(request), job_id or secrets.token_hex(6)
        drawn = draw_request(resolve(request), self.settings.wildcards_dir)
        request, settled = self._with_room(lambda: settle(drawn, spec, self.inputs))
        job = self._start(request, emit, job_id, output, profile)
        job.holds_name = holds_name
        job.latents = self._with_room(lambda: self._saved_latents(job.request, job_id))
        if job.latents is None:
            job.checkpoint = self._checkpoint(job)
            self._make_latents(job)
            self._keep_latents(job, self.latents_path(job_id))
        told = self._with_room(
            lambda: prompt_warnings(self.manager, spec, job.request, self._prompts, job.clock)
        )
        job.warnings = (*settled, *job.told, *told)
        return self._decode(job)

    def decode(
        self, latents_file: Path, emit: Emit, job_id: str, output: Path | None = None
    ) -> GenerationResult:
        """Make the video of latents that an earlier job saved; as ``generate`` from there on."""
        latents, request = self._with_room(lambda: load_latents(latents_file))
        job = self._start(request, emit, job_id, output)
        job.latents = latents
        return self._decode(job)

    def latents_path(self, job_id: str) -> Path:
        """Where a job's latents are kept."""
        return self.settings.latents_dir / f"{Path(job_id).name}.safetensors"

    def unload(self) -> None:
        """Drop all models."""
        self.manager.unload()

    @property
    def _has_device(self) -> bool:
        return self.manager.device.type != "cpu"

    def _start(
        self,
        request: GenerationRequest,
        emit: Emit,
        job_id: str,
        output: Path | None,
        profile: Profile | None = None,
    ) -> _Job:
        require_writable(output.parent if output else self.settings.outputs_dir)
        origins = Origins(request, self.settings, self.manager.store)
        spec, peak = find_model(request.model), PeakMemory(self.manager.device)
        plan = self.manager.plan(spec, request, profile)
        clock = StageClock(origins.when_denoising(emit), peak)
        device, withdraw = self.manager.device, self.manager.withdraw
        return _Job(
            spec=spec,
            request=request,
            id=job_id,
            output=output,
            origins=origins,
            clock=clock,
            peak=peak,
            level=level_of(plan),
            merges=plan.passes_at_once,
            way=VaeWay(plan.vae_tile, self._has_device and plan.vae_device == "cpu"),
            enlarge=self._with_room(lambda: open_upscaler(request, self.settings, device, clock, withdraw)),
        )

    def _saved_latents(self, request: GenerationRequest, job_id: str) -> Tensor | None:
        """What an earlier run of the same job finished denoising, if it got that far."""
        try:
            latents, saved = load_latents(self.latents_path(job_id))
        except MediaError:  # there are none, or they are damaged
            return None
        return latents if saved == request else None

    def _checkpoint(self, job: _Job) -> StepCheckpoint:
        decided = partial(fingerprint, job.spec, job.request, self.settings, self.manager, job.merges)
        return StepCheckpoint(self.settings.checkpoint_path(job.id), decided, job.clock.seconds)

    def _make_latents(self, job: _Job) -> None:
        def work() -> Tensor:
            making = self._conditioning_job(job)
            latents = generate_latents(making, self._prompts)
            job.told = tuple(making.notes)
            return latents

        worn = choose_loras(self.manager, job.spec, job.request).notes(job.request)
        worn += self._speed.notes_on(job.request, job.level)
        job.latents = rescued(work, self._making_rungs(job), partial(self._cannot_make, job))
        job.told = (*worn, *job.told)

    def _keep_latents(self, job: _Job, path: Path) -> None:
        """On the disk, before anything else can fail; a disk that refuses costs the second chance alone."""
        try:
            self._with_room(lambda: save_latents(job.latents, path, job.request))
            prune_latents(self.settings.latents_dir, LATENTS_KEPT)
            job.checkpoint.drop()
        except (MediaError, OSError) as error:
            job.told += (f"The finished latents were not kept: {error}",)
            _log.warning("Job %s goes on without a file of its latents: %s", job.id, error)
        failpoint("latents")

    def _decode(self, job: _Job) -> GenerationResult:
        planned = job.way
        result = rescued(
            lambda: self._finish(job), self._decoding_rungs(job), lambda told: self._cannot_decode()
        )
        if job.way == planned:
            return result
        return result.model_copy(update={"warnings": (*result.warnings, rescue_note(job.way))})

    def _conditioning_job(self, job: _Job) -> ConditioningJob:
        return ConditioningJob(
            source=self.manager,
            spec=job.spec,
            request=job.request,
            inputs=self.inputs,
            emit=job.clock,
            vae_tile=job.way.tile,
            compiles=self._speed.compiles,
            merges=job.merges,
            measured=self.settings.measured_dir,
            checkpoint=job.checkpoint,
        )

    def _finish(self, job: _Job) -> GenerationResult:
        """Decode, write the video or picture, its poster, and its settings."""
        request = job.request
        metadata, told = metadata_of(request, job.origins, self.inputs)
        target = job.output or self._reserved(job)
        try:
            with closing(self._frames(job)) as frames:
                write_result(frames, target, request, self.inputs, metadata, job.enlarge)
        except BaseException:
            if not job.output:
                release(target)
            raise
        beside = write_companions(target, request, metadata, None if job.output else job.poster)
        if not (job.output or job.holds_name):
            release(target)
        with suppress(Cancelled):  # too late: it is made
            job.clock(ProgressEvent(stage=Stage.SAVE, step=1, total=1))
        job.clock.stop()
        return GenerationResult(
            video=target,
            thumbnail=beside.thumbnail,
            sidecar=beside.sidecar,
            request=request,
            seconds=job.clock.seconds,
            peak_bytes=job.peak.bytes,
            parts=job.clock.parts,
            warnings=(
                *job.warnings,
                *notes_on(request),
                *(job.enlarge.notes if job.enlarge else ()),
                *told,
                *beside.told,
            ),
        )

    def _reserved(self, job: _Job) -> Path:
        try:
            return reserve(self.settings.outputs_dir, job.request, job.id)
        except OSError as error:
            raise MediaError(
                f"No file can be made in {self.settings.outputs_dir} ({error.strerror}); free some space, "
                "then decode the saved latents again."
            ) from error

    def _frames(self, job: _Job) -> Iterator[np.ndarray]:
        """The decoded chunks on their way to the encoder; the middle frame is kept for the poster."""
        middle, done = job.request.num_frames // 2, 0
        making = self._conditioning_job(job)
        kept = kept_pixels(making)
        with closing(decode_latents(making, job.latents, job.way)) as chunks:
            for chunk in paste(chunks, kept) if kept else chunks:
                if done <= middle < done + len(chunk):
                    job.poster = chunk[middle - done].copy()
                done += len(chunk)
                yield chunk
        if job.enlarge is None:
            job.clock(ProgressEvent(stage=Stage.SAVE, step=0, total=1))

    # -- when memory runs out ---------------------------------------------------------------------

    def _with_room(self, work: Callable[[], T]) -> T:
        """``work()``, which is small; when memory runs out, again without models in it."""
        return rescued(work, (self.manager.withdraw, self._start_afresh), lambda told: no_room())

    def _start_afresh(self) -> bool:
        """Worth an attempt also with nothing loaded: what the failed one held itself is gone by then."""
        self.unload()
        return True

    def _making_rungs(self, job: _Job) -> Iterator[Rung]:
        """Room on the device, then encoding in tiles, then room in RAM."""
        yield self.manager.withdraw
        if any(getattr(job.request, name) for name in MEDIA_FIELDS):
            for way in self._cheaper_ways(job):
                if not way.on_cpu:
                    yield partial(self._take_way, job, way)
        yield self._start_afresh

    def _decoding_rungs(self, job: _Job) -> Iterator[Rung]:
        """Room on the device, then tiles, smaller tiles, the CPU, and at last room in RAM."""
        yield self.manager.withdraw
        for way in self._cheaper_ways(job):
            yield partial(self._take_way, job, way)
        yield self._start_afresh

    def _cheaper_ways(self, job: _Job) -> Iterator[VaeWay]:
        longer_side = max(job.request.width, job.request.height)
        return cheaper_ways(job.way, longer_side, self.settings.vae_tile, self._has_device)

    def _take_way(self, job: _Job, way: VaeWay) -> bool:
        self.manager.withdraw()
        job.way = way
        return True

    def _cannot_make(self, job: _Job, told: str) -> OutOfMemory:
        self.unload()
        request = job.request
        lower = lower_level(job.level) if self._has_device else None
        if told:
            return OutOfMemory(told, lower)
        clip = f"{request.num_frames} frames of {request.width}x{request.height}"
        return too_much(job.clock.stage, clip, self.manager.device.type, lower)

    def _cannot_decode(self) -> OutOfMemory:
        self.unload()
        return undecodable()
