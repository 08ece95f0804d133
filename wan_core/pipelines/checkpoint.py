"""How far a run has come, on the disk: the same job goes on from there after its process has died.

A checkpoint is a safetensors file: the latents in float32, what the sampler keeps (``Scheduler.state``) and,
in its header, whose run it is, how many steps are done, their seconds, and a digest over all of it. It
replaces the one before, whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from wan_core.media.atomic import whole_file
from wan_core.pipelines.latents import LATENTS_KEPT, prune_latents
from wan_core.schedulers import Scheduler
from wan_core.schema import Stage, WanStudioError

SECONDS_BETWEEN = 20.0
"""Of denoising, between two checkpoints at least; what takes less than that writes none."""

SHARE = 0.01
"""Of the time, which writing them takes at most; on a slow disk they come less often."""

_LATENTS, _FACTS = "latents", "run"
_MOST_TENSORS = 8  # of the latents' size
_SLACK = 2**20  # bytes of header and generator

_UNFIT = (
    *(OSError, SafetensorError, ValueError, OverflowError),
    *(KeyError, TypeError, AttributeError, RuntimeError),
)
"""What comes of reading a file that may hold anything, and of taking its numbers for a sampler's."""

log = logging.getLogger(__name__)


class StepCheckpoint:
    """The checkpoint of one job.

    Args:
        path: of its file; nothing need be there.
        fingerprint: of all that decides the numbers, but for the noise levels; asked for once the model is
            there.
        seconds: of the job's stages; those of a run that goes on count what the steps before it took.
    """

    def __init__(self, path: Path, fingerprint: Callable[[], str], seconds: dict[str, float]) -> None:
        self.path = path
        self._fingerprint, self._seconds = fingerprint, seconds
        self._due, self._run = math.inf, ""

    def resume(self, scheduler: Scheduler, noise: Tensor) -> Tensor | None:
        """The latents that the run goes on from, on the CPU, with the sampler brought to their step.

        None, with the sampler as it was, where there is no checkpoint of this very run; what else is there is
        named in the log. The next checkpoint is due in ``SECONDS_BETWEEN``.

        Args:
            scheduler: of this run, at its beginning.
            noise: of this run, float32.
        """
        try:
            facts = [self._fingerprint(), type(scheduler).__name__, scheduler.sigmas]
        except (OSError, WanStudioError) as error:
            log.warning("No checkpoint is kept of a run whose files cannot be told apart: %s", error)
            return None
        self._run = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        self._due = time.monotonic() + SECONDS_BETWEEN
        try:
            steps, seconds, tensors = self._read(scheduler, noise)
            latents = tensors.pop(_LATENTS)
            if latents.shape != noise.shape or latents.dtype != noise.dtype or not latents.isfinite().all():
                raise ValueError("its latents are not this run's")
            scheduler.restore(steps, tensors, noise)
        except FileNotFoundError:
            return None
        except _UNFIT as error:
            log.info("%s is left aside, and the run begins at its first step: %s", self.path.name, error)
            return None
        log.info("%s: the run goes on after step %d.", self.path.name, steps)
        self._seconds[Stage.DENOISE] = max(self._seconds.get(Stage.DENOISE, 0.0), seconds)
        return latents

    def reach(self, latents: Tensor, scheduler: Scheduler) -> None:
        """A step is done; write it down if that is due. A disk that refuses costs the checkpoint alone."""
        began = time.monotonic()
        if began < self._due or scheduler.step_index == len(scheduler.timesteps):
            return
        try:
            self._write(latents, scheduler)
            prune_latents(self.path.parent, LATENTS_KEPT)
        except OSError as error:
            log.warning("Step %d was not kept in %s: %s", scheduler.step_index, self.path, error)
        now = time.monotonic()
        self._due = now + max(SECONDS_BETWEEN, (now - began) / SHARE)

    def drop(self) -> None:
        """Remove it: the run is over."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s could not be removed: %s", self.path, error)

    def _write(self, latents: Tensor, scheduler: Scheduler) -> None:
        tensors = {_LATENTS: latents, **scheduler.state()}
        tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        facts = {
            "of": self._run,
            "steps": scheduler.step_index,
            "seconds": self._seconds.get(Stage.DENOISE, 0.0),
        }
        data = save(tensors, {_FACTS: json.dumps(facts | {"digest": _digest(facts, tensors)})})
        with whole_file(self.path) as partial:
            partial.write_bytes(data)

    def _read(self, scheduler: Scheduler, noise: Tensor) -> tuple[int, float, dict[str, Tensor]]:
        """Steps done, their seconds, and the tensors of a file of this run.

        Raises:
            FileNotFoundError: there is none.
            Others of ``_UNFIT``: it is none of this run.
        """
        if self.path.stat().st_size > _MOST_TENSORS * noise.nbytes + _SLACK:
            raise ValueError("it is too large")
        data = self.path.read_bytes()
        tensors = load(data)
        facts = json.loads(_header(data)["__metadata__"][_FACTS])
        digest, steps, seconds = facts.pop("digest"), facts["steps"], facts["seconds"]
        if facts["of"] != self._run:
            raise ValueError("it is of another run: the request, the files or the way of computing changed")
        if digest != _digest(facts, tensors):
            raise ValueError("it is damaged")
        if type(steps) is not int or not 0 < steps < len(scheduler.timesteps):
            raise ValueError(f"step {steps} is none to go on from")
        return steps, float(seconds) if 0 <= float(seconds) < math.inf else 0.0, tensors


def _header(data: bytes) -> dict[str, Any]:
    """The header of a safetensors file that has been read as one."""
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def _digest(facts: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    running = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(tensors):
        running.update(name.encode())
        running.update(tensors[name].view(-1).view(torch.uint8).numpy())
    return running.hexdigest()
