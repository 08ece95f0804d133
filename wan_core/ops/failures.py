"""How packages fail that somebody else compiled, for another torch or card, and what they say."""

from __future__ import annotations

FOREIGN_FAILURES = (
    AssertionError, AttributeError, ImportError, LookupError, MemoryError, OSError, RuntimeError,
    SyntaxError, TypeError, ValueError,
)  # fmt: skip


def first_line(problem: Exception) -> str:
    """What an error says first, as the end of a sentence: at most 160 characters, no full stop."""
    lines = str(problem).strip().splitlines() or [type(problem).__name__]
    return lines[0][:160].rstrip(".")
