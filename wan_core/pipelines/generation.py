"""The stages of a text-to-video job, in order. Each borrows one part and keeps none."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
from torch import Tensor

from wan_core.catalog import ModelSpec, Role
from wan_core.models.vae.config import SPATIAL_STRIDE, VAEConfig, decoding_bytes
from wan_core.pipelines.components import ComponentSource
from wan_core.pipelines.decoding import decode_frames
from wan_core.pipelines.denoise import OnStep, denoise
from wan_core.pipelines.latents import make_generator, prepare_noise
from wan_core.pipelines.preview import OFFICIAL_LATENT_RGB, TABLE_FILE, LatentRGB, preview_webp
from wan_core.pipelines.prompt_encoding import PromptCache, encode_prompts
from wan_core.schedulers import make_scheduler
from wan_core.schema import Emit, GenerationRequest, ProgressEvent, Stage, WeightsError

_log = logging.getLogger(__name__)


def generate_latents(
    source: ComponentSource, spec: ModelSpec, request: GenerationRequest, cache: PromptCache, emit: Emit
) -> Tensor:
    """A resolved request to latents (1, C, F, H, W), float32, on the CPU.

    Raises:
        Cancelled: from ``emit``, within one step.
        GenerationFailed: a stage produced NaN.
        WeightsError: a part's files are missing or wrong.
    """
    prompts = encode_prompts(source, spec, request, cache, emit)
    generator = make_generator(request)
    noise = prepare_noise(spec, request, generator)
    scheduler = make_scheduler(request.scheduler, request.num_inference_steps, request.shift, generator)
    on_step = _step_reporter(source, spec, request, emit)
    working = spec.dit.working_bytes(*noise.shape[2:])
    with source.use(spec, Role.TRANSFORMER, emit, working) as transformer:
        emit(ProgressEvent(stage=Stage.DENOISE, step=0, total=request.num_inference_steps))
        latents = denoise(transformer, noise, prompts, scheduler, request.guidance_scale, on_step)
        return latents.cpu()


def decode_latents(
    source: ComponentSource, spec: ModelSpec, latents: Tensor, emit: Emit
) -> Iterator[np.ndarray]:
    """Latents (1, C, F, H, W) to chunks of frames (T, H, W, 3) uint8; the VAE is borrowed meanwhile."""
    height, width = (side * SPATIAL_STRIDE for side in latents.shape[3:])
    with source.use(spec, Role.VAE, emit, decoding_bytes(spec.vae, width, height)) as vae:
        yield from decode_frames(vae, latents, emit)


def _step_reporter(
    source: ComponentSource, spec: ModelSpec, request: GenerationRequest, emit: Emit
) -> OnStep:
    """Reports each step, with a preview every ``preview_every`` steps except after the last."""
    total = request.num_inference_steps
    table = _preview_table(source, spec, emit) if request.preview_every else None

    def on_step(done: int, expected: Tensor) -> None:
        preview = None
        if table and done % request.preview_every == 0 and done < total:
            preview = preview_webp(expected, table, request.fps)
        emit(ProgressEvent(stage=Stage.DENOISE, step=done, total=total, preview=preview))

    return on_step


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
