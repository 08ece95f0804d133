"""What a finished job leaves behind."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from wan_core.schema.request import GenerationRequest


class GenerationResult(BaseModel):
    """A finished video.

    ``request`` has every default and the seed filled in: running it again gives the same file.
    ``seconds`` maps each stage to its duration; ``peak_bytes`` is the largest device memory in use
    (the process's resident memory on a CPU).
    """

    model_config = ConfigDict(frozen=True)

    video: Path
    thumbnail: Path
    request: GenerationRequest
    seconds: dict[str, float]
    peak_bytes: int
