"""The step cache of a job: chosen by its request, and what is said and kept of it afterwards."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from pathlib import Path

from wan_core.acceleration.graphs import GraphedPasses
from wan_core.acceleration.levels import FEW_STEPS
from wan_core.acceleration.magcache import MagCache, Magnitudes
from wan_core.acceleration.step_cache import ReusingCache, StepCache
from wan_core.acceleration.table import Run, make_step_cache
from wan_core.acceleration.windows import windows_move
from wan_core.catalog import ModelSpec
from wan_core.models.vae.config import latent_frames
from wan_core.pipelines.conditioning.types import ConditioningJob
from wan_core.pipelines.denoise import Sampling
from wan_core.schema import GenerationRequest

_log = logging.getLogger(__name__)

_SMALL, _LARGE = 1536, 5120  # widths of the official models
_AREA_480P = 832 * 480


def family_of(spec: ModelSpec) -> str:
    """The model whose published figures are nearest, one of ``teacache.FAMILIES``; empty for none."""
    if spec.dit.dim == _SMALL:
        return "t2v-1.3b"
    if spec.dit.dim != _LARGE:
        return ""
    if not spec.dit.image_dim:
        return "t2v-14b"
    largest = max(width * height for width, height in spec.sizes)
    return "i2v-14b-720p" if largest > _AREA_480P else "i2v-14b-480p"


def with_cache(sampling: Sampling, job: ConditioningJob) -> Sampling:
    """The sampling of a job with a cache of its own, its passes as planned."""
    request = job.request
    known = Magnitudes.read(path) if (path := _magnitudes(job)) else None
    run = Run(tuple(sampling.scheduler.sigmas), family_of(job.spec), known)
    name = "off" if _windows_move(request) else request.step_cache
    cache = make_step_cache(name, request.step_cache_threshold, run)
    if job.compiles == "graphs":
        cache = _graphed(cache, job)
    return dataclasses.replace(sampling, cache=cache, merges=job.merges)


def _graphed(cache: StepCache, job: ConditioningJob) -> StepCache:
    """Graphs where every pass is computed: what decides in the middle of one cannot be recorded."""
    if isinstance(cache, ReusingCache):
        job.notes.append("No CUDA graph was used: a step cache is on.")
        return cache
    return GraphedPasses()


def _windows_move(request: GenerationRequest) -> bool:
    """Whether a window of a step is never one of the step before, so that it has nothing to reuse."""
    windows = request.windows
    return windows is not None and windows_move(windows, latent_frames(request.num_frames))


def conclude(cache: StepCache, job: ConditioningJob) -> None:
    """Say what was computed, and keep what was measured."""
    job.notes.extend(cache.report)
    if job.request.step_cache != "off" and _windows_move(job.request):
        job.notes.append("No step was skipped: its windows lie elsewhere in every step.")
    elif not isinstance(cache, ReusingCache) and job.request.step_cache != "off":
        job.notes.append(f"No step was skipped: runs of up to {FEW_STEPS} steps need each of theirs.")
    path = _magnitudes(job)
    if isinstance(cache, MagCache) and cache.measured and path:
        try:
            cache.measured.write(path)
        except OSError as error:
            _log.warning("%s could not be kept: %s", path, error)
            return
        job.notes.append("MagCache has measured this model; its next videos will skip steps.")


def _magnitudes(job: ConditioningJob) -> Path | None:
    """Where the magnitudes of a model, at a task, are kept."""
    if job.measured is None or job.request.step_cache != "magcache":
        return None
    name = hashlib.sha256(f"{job.request.model} {job.request.task}".encode()).hexdigest()[:16]
    return job.measured / f"magnitudes-{name}.json"
