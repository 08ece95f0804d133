"""How one field of a request is shown: the UI, the CLI and the documentation read it from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

Group = Literal["main", "media", "steering", "lora", "sampling", "guidance", "speed", "output"]


@dataclass(frozen=True)
class Knob:
    """Label, help and bounds. Fields of the groups ``media`` and ``steering`` are for the models and
    tasks that take them, see ``wan_core.catalog``; the others are for all.
    """

    label: str
    help: str
    group: Group = "main"
    low: float | None = None
    high: float | None = None
    step: float | None = None


def knob_field(default: Any, knob: Knob) -> Any:
    """A pydantic field with the knob's bounds."""
    return Field(default, ge=knob.low, le=knob.high, description=knob.help, json_schema_extra={"knob": knob})
