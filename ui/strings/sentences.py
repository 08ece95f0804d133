"""Sentences that the engine makes in English, said in the page's language.

Errors, warnings and plans are worded where they arise, below the page. A language has a table of their
templates: the English with ``{}`` for each value -> its own with ``{0}``, ``{1}`` ... in any order. What no
template fits is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Pattern = tuple[re.Pattern[str], str, bool]
"""What a sentence looks like, what it is in another language, and whether more than signs tells it."""


def compiled(table: Mapping[str, str]) -> tuple[Pattern, ...]:
    """The templates, those with the most fixed text first, as what fits several is said by the closest."""
    ordered = sorted(table, key=lambda english: len(english.replace("{}", "")), reverse=True)
    return tuple((_pattern(english), table[english], any(map(str.isalpha, english))) for english in ordered)


def _pattern(english: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(re.escape(part) for part in english.split("{}")), re.DOTALL)


def said(words: str, patterns: tuple[Pattern, ...]) -> str:
    """The sentence in the language of the patterns; values that are sentences themselves, too.

    What semicolons join is said part by part where no template fits the whole.
    """
    parts = words.removesuffix(".").split("; ")
    for pattern, wording, is_worded in patterns:
        if (is_worded or len(parts) == 1) and (found := pattern.fullmatch(words)):
            return wording.format(*(said(value, patterns) for value in found.groups()))
    told = [said(part, patterns) for part in parts] if len(parts) > 1 else parts
    return "；".join(told) + "。" * words.endswith(".") if told != parts else words
