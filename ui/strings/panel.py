"""The sentences of the result panel and of comparing, as a type."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PanelTexts:
    """Names in braces are filled in, with ``str.format`` or by the page's script."""

    drafts: str
    stop_all: str
    peak_of: str
    step_count: str
    left_guess: str
    peak: str
    tile: str
    enlarge: str
    shrink: str
    final: str
    final_help: str
    steps: str

    send: str
    formats: dict[str, str]
    as_made: str
    preparing: str
    deleted: str
    undo: str
    too_late: str
    gone: str

    compare: str
    pick_other: str
    cancel: str
    left: str
    right: str
    nothing_else: str
    play: str
    pause: str
    position: str
    no_difference: str
    setting: str
    yes: str
    no: str
    none: str
    time_taken: str
    memory: str
    close: str
