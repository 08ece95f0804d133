"""Layer 0: the types that every other layer shares. No torch here."""

from wan_core.schema.errors import (
    Cancelled,
    DownloadError,
    EnhancementFailed,
    GenerationFailed,
    InvalidRequest,
    MediaError,
    OutOfMemory,
    StoreError,
    WanStudioError,
    WeightsError,
)
from wan_core.schema.events import Emit, ProgressEvent, Stage
from wan_core.schema.knob import Knob
from wan_core.schema.request import GenerationRequest, knobs
from wan_core.schema.result import GenerationResult, PartUse
from wan_core.schema.settings import Settings

__all__ = [
    "Cancelled",
    "DownloadError",
    "Emit",
    "EnhancementFailed",
    "GenerationFailed",
    "GenerationRequest",
    "GenerationResult",
    "InvalidRequest",
    "Knob",
    "MediaError",
    "OutOfMemory",
    "PartUse",
    "ProgressEvent",
    "Settings",
    "Stage",
    "StoreError",
    "WanStudioError",
    "WeightsError",
    "knobs",
]
