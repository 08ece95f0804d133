"""The ways of compiling that a person can choose; no torch here.

``wan_core.ops.compiling`` and ``wan_core.ops.graphs`` do it.
"""

from __future__ import annotations

from typing import Any, Literal

CompileMode = Literal["off", "on", "any_size", "tuned", "graphs"]

COMPILE_ARGUMENTS: dict[CompileMode, dict[str, Any]] = {
    "on": {},
    "any_size": {"dynamic": True},
    "tuned": {"mode": "max-autotune-no-cudagraphs"},
}
"""Mode -> arguments of ``torch.compile``; "off" and "graphs" translate nothing.

None uses the CUDA graphs of torch.compile: the next step would overwrite what step caches keep.
"""


def graphs_impossible(kind: str) -> str | None:
    """One sentence on why a device of this kind records nothing; None where it is worth a trial."""
    return None if kind in ("cuda", "rocm") else "CUDA graphs need an NVIDIA or AMD card."
