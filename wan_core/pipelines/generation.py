"""The stages of a job, in order. Each borrows one part and keeps none."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from wan_core.acceleration.levels import kept_bytes
from wan_core.acceleration.step_cache import ReusingCache
from wan_core.acceleration.windows import kept_windows, seen_at_once
from wan_core.catalog import ModelSpec, Role
from wan_core.models.vae.config import SPATIAL_STRIDE, VAEConfig, decoding_bytes
from wan_core.pipelines.components import ComponentSource, VaeWay, device_of
from wan_core.pipelines.conditioning.table import build_conditioning
from wan_core.pipelines.conditioning.types import Conditioning, ConditioningJob
from wan_core.pipelines.decoding import decode_frames, decode_loop
from wan_core.pipelines.denoise import OnStep, Sampling, denoise
from wan_core.pipelines.dressing import choose_loras
from wan_core.pipelines.guidance import Guidance
from wan_core.pipelines.guidance_notes import guidance_notes
from wan_core.pipelines.latents import make_generator, prepare_noise
from wan_core.pipelines.preparing import prepared
from wan_core.pipelines.preview import OFFICIAL_LATENT_RGB, TABLE_FILE, LatentRGB, Previews
from wan_core.pipelines.prompt_encoding import PromptCache, encode_prompts
from wan_core.pipelines.step_caching import conclude, with_cache
from wan_core.pipelines.steps import plan_steps
from wan_core.pipelines.windows import is_loop
from wan_core.schema import Emit, GenerationRequest, ProgressEvent, Stage, WeightsError
from wan_core.schema.guidance import GuidanceOptions

_ITEMSIZE = 2  # as in ``DiTConfig.working_bytes``

_log = logging.getLogger(__name__)


def generate_latents(job: ConditioningJob, cache: PromptCache) -> Tensor:
    """A settled request to latents (1, C, F, H, W), float32, on the CPU.

    Raises:
        Cancelled: from ``emit``, within one step.
        GenerationFailed: a stage produced NaN.
        InvalidRequest, MediaError: the request's media cannot be used.
        WeightsError: a part's files are missing or wrong, or a LoRA is of another model.
    """
    source, spec, request, emit = job.source, job.spec, job.request, job.emit
    dressing = choose_loras(source, spec, request)
    prompts = encode_prompts(source, spec, request, cache, emit)
    conditioning = build_conditioning(job)
    generator = make_generator(request)
    noise = prepare_noise(spec, request, generator, conditioning.front_frames)
    sampling = with_cache(plan_sampling(request, generator), job)
    if not sampling.scheduler.timesteps:
        return conditioning.start
    steps = len(sampling.scheduler.timesteps)
    report = _step_reporter(job, steps)
    conditioning = dressing.steer(conditioning, noise)
    working = _working_bytes(job, noise, conditioning)
    with (
        dressing.lend(source, spec, emit, working) as (transformer, worn),
        prepared(transformer, job.compiles) as memory,
    ):
        noise = noise.to(device_of(transformer))
        sampling = _resumed(sampling, job, noise)
        finished = sampling.scheduler.step_index
        worn.begin_step(finished)

        def on_step(done: int, expected: Tensor) -> None:
            nonlocal finished
            finished = done
            if worn.begin_step(done):
                sampling.cache.renew()
                memory.forget()
            report(done, expected)

        def tell() -> None:
            emit(ProgressEvent(stage=Stage.DENOISE, step=finished, total=steps))

        tell()
        latents = denoise(transformer, noise, prompts, conditioning, sampling, on_step, tell).cpu()
    conclude(sampling.cache, job)
    job.notes.extend(guidance_notes(request, spec))
    return latents


def _resumed(sampling: Sampling, job: ConditioningJob, noise: Tensor) -> Sampling:
    """The sampling of a job that goes on where an earlier run of it died, if that is known.

    ``noise`` is on the device that it runs on. What a step cache keeps is too large to be written down, so
    runs with one begin anew.
    """
    if job.checkpoint is None or isinstance(sampling.cache, ReusingCache):
        return sampling
    reached = job.checkpoint.resume(sampling.scheduler, noise)
    if reached is not None:
        done = sampling.scheduler.step_index
        job.notes.append(f"It went on after step {done}, where an earlier run of it had ended.")
    return dataclasses.replace(sampling, checkpoint=job.checkpoint, reached=reached)


def _working_bytes(job: ConditioningJob, noise: Tensor, conditioning: Conditioning) -> int:
    """What denoising takes beside the weights, what a step cache keeps included."""
    dit, front, windows = job.spec.dit, conditioning.front_frames, job.request.windows
    total = noise.shape[2] - front
    size = (front + seen_at_once(windows, total), *noise.shape[3:], conditioning.dit.appended)
    passes = (3 if conditioning.bare is not None else 2) + job.request.third_pass
    numbers = dit.dim * dit.tokens(*size) * kept_windows(windows, total)
    work = dit.working_bytes(*size) * (2 if job.merges else 1)
    return work + kept_bytes(job.request.step_cache, numbers, passes, _ITEMSIZE)


def plan_sampling(request: GenerationRequest, generator: torch.Generator) -> Sampling:
    """The schedule and guidance of a resolved request."""
    scheduler = plan_steps(request, generator)
    references = request.reference_guidance_scale
    scales = (request.guidance_scale,) if references is None else (request.guidance_scale, references)
    guidance = Guidance(*scales, options=GuidanceOptions.of(request))
    return Sampling(
        scheduler, guidance, (request.control_start, request.control_end), windows=request.windows
    )


def decode_latents(job: ConditioningJob, latents: Tensor, way: VaeWay) -> Iterator[np.ndarray]:
    """Latents (1, C, F, H, W) to chunks of frames (T, H, W, 3) uint8; the VAE is borrowed meanwhile."""
    height, width = (side * SPATIAL_STRIDE for side in latents.shape[3:])
    working = decoding_bytes(job.spec.vae, width, height, way.tile)
    with job.source.use(job.spec, Role.VAE, job.emit, working, on_cpu=way.on_cpu) as vae:
        if is_loop(job.request):
            yield from decode_loop(vae, latents, job.emit, way.tile)
        else:
            yield from decode_frames(vae, latents, job.emit, job.request.task == "t2i", way.tile)


def _step_reporter(job: ConditioningJob, total: int) -> OnStep:
    """Reports each step, with a preview every ``preview_every`` steps except after the last."""
    request, emit = job.request, job.emit
    previews = _previews(job.source, job.spec, emit) if request.preview_every else None

    def on_step(done: int, expected: Tensor) -> None:
        preview = None
        if previews and done % request.preview_every == 0 and done < total:
            preview = previews.draw(expected, request.fps)
        emit(ProgressEvent(stage=Stage.DENOISE, step=done, total=total, preview=preview))

    return on_step


def _previews(source: ComponentSource, spec: ModelSpec, emit: Emit) -> Previews:
    """What draws latents of this model; the tiny decoder knows those of the official VAE alone."""
    decoder = source.preview_decoder() if spec.vae == VAEConfig() else None
    return Previews(_preview_table(source, spec, emit), decoder)


def _preview_table(source: ComponentSource, spec: ModelSpec, emit: Emit) -> LatentRGB | None:
    """The table beside the VAE's weights, else the official one, else None: no preview."""
    path = source.folder(spec, Role.VAE, emit) / TABLE_FILE
    if path.is_file():
        try:
            return LatentRGB.read(path, spec.vae.z_dim)
        except WeightsError as error:
            _log.warning("No previews: %s", error)
            return None
    return OFFICIAL_LATENT_RGB if spec.vae == VAEConfig() else None
