"""Layer 4: every model the studio knows, and what may be asked of it. Imports no torch."""

from wan_core.catalog.check import find_model, is_known, resolve, validate
from wan_core.catalog.demo import DEMO_FOLDER
from wan_core.catalog.local import with_files
from wan_core.catalog.models import MODELS
from wan_core.catalog.spec import (
    OFFICIAL_NEGATIVE_PROMPT,
    ModelSpec,
    Role,
    SamplingDefaults,
    TaskInputs,
    WeightFiles,
)

__all__ = [
    "DEMO_FOLDER",
    "MODELS",
    "OFFICIAL_NEGATIVE_PROMPT",
    "ModelSpec",
    "Role",
    "SamplingDefaults",
    "TaskInputs",
    "WeightFiles",
    "find_model",
    "is_known",
    "resolve",
    "validate",
    "with_files",
]
