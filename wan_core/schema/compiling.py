"""The ways of compiling that a person can choose; no torch here. ``wan_core.ops.compiling`` does it."""

from __future__ import annotations

from typing import Any, Literal

CompileMode = Literal["off", "on", "any_size", "tuned"]

COMPILE_ARGUMENTS: dict[CompileMode, dict[str, Any]] = {
    "on": {},
    "any_size": {"dynamic": True},
    "tuned": {"mode": "max-autotune-no-cudagraphs"},
}
"""Mode -> arguments of ``torch.compile``.

None uses CUDA graphs: the next step would overwrite what step caches keep.
"""
