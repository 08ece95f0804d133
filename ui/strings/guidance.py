"""The sentences about guidance, as a type; what its controls are called stands with the request's fields."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GuidanceTexts:
    """``sections``: headings by the keys of ``refining.SECTIONS``; ``count`` is filled in by the script."""

    fold: str
    sections: dict[str, str]
    changed: str
    reset: str
