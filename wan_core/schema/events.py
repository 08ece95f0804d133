"""What a running job tells the world."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Stage(StrEnum):
    """The stages of a job, in order."""

    DOWNLOAD = "download"
    LOAD = "load"
    ENCODE = "encode"
    DENOISE = "denoise"
    DECODE = "decode"
    UPSCALE = "upscale"
    SAVE = "save"


class ProgressEvent(BaseModel):
    """One report of a running job.

    ``step`` of ``total`` counts steps (denoise), frames (decode, upscale) or bytes (download, load);
    ``seconds`` is the time spent in the stage so far; ``part`` is the part of the model that a load is
    of; ``preview`` is a small animated WebP.
    """

    model_config = ConfigDict(frozen=True)

    stage: Stage
    step: int = 0
    total: int = 0
    seconds: float = 0.0
    message: str = ""
    part: str = ""
    preview: bytes | None = None


Emit = Callable[[ProgressEvent], None]
"""Receives every event; raises ``Cancelled`` when the job is to stop. The only place that does."""
