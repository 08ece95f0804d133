"""The sentences about the queue as a file, as a type."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class QueueFileTexts:
    """Names in braces are filled in with ``str.format``, or by the page's script."""

    save: str
    save_help: str
    load: str
    load_help: str
    saving: str
    saved: str
    loading: str
    loaded: str
    progress: str
    line: str
    more_lines: str
    nothing_waits: str
    too_large: str
    only_command: str
    busy: str
    no_answer: str
