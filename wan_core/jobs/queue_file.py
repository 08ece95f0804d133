"""Waiting jobs into a file and back into a queue, here or elsewhere; ``queue_zip`` is the file. No torch.

Every job is judged by itself, by the one validator, before it is added: what is wrong with one is said and
stops no other, and none is added in part.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wan_core.jobs.job import JobStatus
from wan_core.jobs.public_rules import TooMany
from wan_core.jobs.queue_zip import LIMITS, QueueLimits, QueueZip, open_queue, write_queue
from wan_core.jobs.store import JobStore
from wan_core.manager.origins import known_origins
from wan_core.manager.restoring import Restored, restore_exactly
from wan_core.manager.weights import WeightStore
from wan_core.media.atomic import partial_file
from wan_core.media.inputs import InputStore
from wan_core.media.metadata import FILES_KEY, REQUEST_KEY, request_metadata
from wan_core.schema import GenerationRequest, InvalidRequest, MediaError, Settings, WanStudioError
from wan_core.schema.inputs import InputName

_SHOWN = 80  # characters of a prompt

Step = Callable[[int, int], None]
"""Told how many jobs of how many are done with."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Line:
    """What is to be said of one job of a file: its ``number`` from 1, and how its ``prompt`` begins."""

    number: int
    prompt: str
    said: tuple[WanStudioError, ...]


@dataclass(frozen=True)
class Loaded:
    """Of ``total`` jobs those with the ids ``jobs`` were added, ``noted`` with a remark; ``refused`` not."""

    jobs: tuple[str, ...]
    total: int
    refused: tuple[Line, ...] = ()
    noted: tuple[Line, ...] = ()


def waiting(store: JobStore) -> list[GenerationRequest]:
    """What waits, in the order in which it will run; the running job is not among it."""
    return [job.request for job in store.queue() if job.status is JobStatus.QUEUED]


def save_queue(
    requests: Sequence[GenerationRequest],
    path: Path,
    settings: Settings,
    weights: WeightStore | None = None,
    tell: Step = lambda done, total: None,
) -> tuple[Line, ...]:
    """Write requests, in their order, with all that they name; returns those of which an input is gone.

    Raises:
        MediaError: there is more than a file of a queue may have.
        OSError: the disk refuses.
    """
    weights, store = weights or WeightStore(settings), InputStore(settings.inputs_dir)
    inputs: dict[InputName, Path] = {}
    jobs, gone = [], []
    for number, request in enumerate(requests, 1):
        origins = known_origins(request, settings, weights)
        jobs.append({**request_metadata(request), **({FILES_KEY: origins} if origins else {})})
        problems = []
        for name in sorted(request.named_files()):
            try:
                inputs[name] = store.path(name)
            except MediaError as error:
                problems.append(error)
        if problems:
            gone.append(Line(number, request.prompt[:_SHOWN], tuple(problems)))
        tell(number, len(requests))
    write_queue(path, jobs, inputs)
    return tuple(gone)


def load_queue(
    path: Path,
    settings: Settings,
    submit: Callable[[GenerationRequest], str],
    weights: WeightStore | None = None,
    limits: QueueLimits = LIMITS,
    tell: Step = lambda done, total: None,
) -> Loaded:
    """Add the jobs of a file to a queue, in their order, as far as this machine can make them as they are.

    Args:
        submit: checks and queues a request; returns its job's id.

    Raises:
        MediaError: the file is no queue; nothing was added.
        OSError: the disk refuses.
    """
    weights = weights or WeightStore(settings)
    added: list[str] = []
    refused, noted = [], []
    with open_queue(path, limits) as archive:
        total = len(archive.jobs)
        for number, job in enumerate(archive.jobs, 1):
            prompt = _prompt_of(job)
            try:
                restored = _restored(job, archive, settings, weights)
                added.append(submit(restored.request))
            except TooMany as error:  # nor will those behind it be let in
                refused += [
                    Line(at, _prompt_of(archive.jobs[at - 1]), (error,)) for at in range(number, total + 1)
                ]
                break
            except _Missing as error:
                refused.append(Line(number, prompt, error.said))
            except (InvalidRequest, MediaError) as error:
                refused.append(Line(number, prompt, (error,)))
            else:
                if restored.notes:
                    noted.append(Line(number, prompt, tuple(map(MediaError, restored.notes))))
            tell(number, total)
    return Loaded(tuple(added), total, tuple(refused), tuple(noted))


class _Missing(Exception):
    """A job needs what is not on this machine; ``said`` has a sentence for each."""

    def __init__(self, sentences: Sequence[str]) -> None:
        self.said = tuple(map(MediaError, sentences))


def _restored(job: Any, archive: QueueZip, settings: Settings, weights: WeightStore) -> Restored:
    """A job's request, fit for this machine.

    Raises:
        InvalidRequest: it is none.
        _Missing: something that it names is not here.
        OSError: the disk refuses to keep an input.
    """
    inputs = InputStore(settings.inputs_dir)
    told: Mapping[str, Any] = job if isinstance(job, dict) else {}
    restored = restore_exactly(told, settings, weights, lambda gone: _brought(gone, archive, inputs))
    if restored.missing:
        raise _Missing(restored.missing)
    return restored


def _brought(names: set[InputName], archive: QueueZip, inputs: InputStore) -> set[InputName]:
    """Keep those inputs of ``names`` that the file holds and that are what their name says.

    Each is checked like a file from anywhere else.

    Raises:
        OSError: the disk refuses.
    """
    taken: set[InputName] = set()
    for name in sorted(filter(archive.holds, names)):
        with suppress(MediaError), partial_file(inputs.folder) as partial:
            if archive.copy(name, partial).startswith(name.partition(".")[0]):
                taken |= {inputs.keep(partial)} & {name}
    if taken != names:
        _log.info("Of %d inputs, a file of a queue brought %d.", len(names), len(taken))
    return taken


def _prompt_of(job: Any) -> str:
    request = job.get(REQUEST_KEY) if isinstance(job, dict) else None
    prompt = request.get("prompt") if isinstance(request, dict) else None
    return prompt[:_SHOWN] if isinstance(prompt, str) else ""
