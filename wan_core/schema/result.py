"""What a finished job leaves behind."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from wan_core.schema.request import GenerationRequest


class PartUse(BaseModel):
    """What a part of the model took in a job.

    ``load_seconds`` is 0 if it was still loaded; ``peak_bytes`` is the largest memory in use while it was
    loaded and worked, other parts in memory included.
    """

    model_config = ConfigDict(frozen=True)

    load_seconds: float
    peak_bytes: int


class GenerationResult(BaseModel):
    """A finished video, or the picture of text to image.

    ``video`` is its file, or the folder of its frames; ``sidecar`` that of its settings, where they were
    asked for. ``request`` has every default and the seed filled in: running it again gives
    the same file.
    ``seconds`` maps each stage to its duration; ``peak_bytes`` is the largest device memory in use
    (the process's resident memory on a CPU); ``parts`` maps the parts of the model to what they took.
    ``thumbnail`` is None for a video written outside the outputs folder. ``warnings`` are sentences about
    what the request asked for and the model could not do.
    """

    model_config = ConfigDict(frozen=True)

    video: Path
    thumbnail: Path | None
    sidecar: Path | None = None
    request: GenerationRequest
    seconds: dict[str, float]
    peak_bytes: int
    parts: dict[str, PartUse] = {}
    warnings: tuple[str, ...] = ()
