"""The sentences of the time line of a video, as a type."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TimelineTexts:
    """Names in braces are filled in by the page's script."""

    title: str
    handle_help: str
    at: str
    taken: str
    taken_part: str
    chosen: str
    last: str
    whole: str
    unseen: str
