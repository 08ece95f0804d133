"""The words of the choice that enlarges, as a type; in English and in Chinese."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EnlargingTexts:
    """``factor`` is a number, ``name`` that of a file."""

    off: str
    plain: str
    learnt: str
    install: str
    no_files: str
