"""Every error that a person can meet, in one tree.

WanStudioError              what went wrong and what to do, in one sentence
├── InvalidRequest          a field of a request is out of bounds
├── WeightsError            a checkpoint is missing, damaged or of another model
│   └── DownloadError       a checkpoint could not be fetched
├── GenerationFailed        the model ran and its result cannot be used (NaN, black frames)
├── OutOfMemory             the device could not hold the work
├── MediaError              a video or an image could not be read or written
├── EnhancementFailed       a prompt could not be written out by a language model
├── StoreError              the job store or its home folder cannot be used
└── Cancelled               the person stopped the job
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wan_core.schema.settings import Profile


class WanStudioError(Exception):
    """Base of all expected failures; ``str(error)`` is one sentence fit for the page."""


class InvalidRequest(WanStudioError):
    """A request cannot be carried out as it stands.

    Args:
        field: name of the ``GenerationRequest`` field at fault.
        problem: the value and why it is refused.
        remedy: what to do instead.
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        self.field = field
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{field}: {problem}. {remedy}")


class WeightsError(WanStudioError):
    """A checkpoint file is missing, damaged, or belongs to another model."""


class DownloadError(WeightsError):
    """A checkpoint file could not be downloaded; what has arrived is kept for the next try."""


class GenerationFailed(WanStudioError):
    """The model produced numbers that are no video (NaN, infinite, or constant frames)."""


class OutOfMemory(WanStudioError):
    """The device or the machine ran out of memory; finished latents are kept.

    Args:
        message: one sentence.
        lower: the memory profile that may do with less; None where none does.
    """

    def __init__(self, message: str, lower: Profile | None = None) -> None:
        self.lower = lower
        super().__init__(message)


class MediaError(WanStudioError):
    """A media file could not be read or written."""


class EnhancementFailed(WanStudioError):
    """A language model, on this machine or at an endpoint, wrote no prompt; the person's own stays."""


class StoreError(WanStudioError):
    """The job store cannot be opened, is of a newer version, or another studio is using its folder."""


class Cancelled(WanStudioError):
    """The job was stopped by its owner."""

    def __init__(self) -> None:
        super().__init__("Cancelled.")
