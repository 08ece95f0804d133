"""Cleaning of prompts before they become tokens (spec 4, "Text"). Imports no torch."""

from __future__ import annotations

import html
import re

import ftfy

_WHITESPACE = re.compile(r"\s+")


def clean_text(text: str) -> str:
    """Mend wrongly decoded characters, undo HTML escapes, and leave single spaces between words."""
    unescaped = html.unescape(html.unescape(ftfy.fix_text(text)))
    return _WHITESPACE.sub(" ", unescaped.strip()).strip()
