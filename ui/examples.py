"""Prompts that show what a model can do."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from wan_core.catalog import ModelSpec

_FILE = Path(__file__).resolve().parent.parent / "assets" / "examples" / "prompts.json"


@cache
def _prompts() -> dict[str, list[str]]:
    return json.loads(_FILE.read_text(encoding="utf-8"))


def prompts_for(spec: ModelSpec) -> list[str]:
    """Prompts for this model; the large models share one set."""
    prompts = _prompts()
    return prompts.get(spec.id) or prompts["any"]
