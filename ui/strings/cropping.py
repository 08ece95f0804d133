"""The sentences of the frame that crops an input, as a type."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CroppingTexts:
    """Names in braces are filled in by the page's script."""

    crop: str
    window: str
    window_help: str
    at: str
    size: str
    whole: str
