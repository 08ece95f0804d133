"""The part of a video that is used: a strip of its frames with handles to drag.

The fields From and To stay what counts: dragging writes them, and typing there moves the handles.
"""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import Any

from ui.links import link
from ui.making.form import Values
from ui.making.framing import facts_of
from ui.strings import Texts
from wan_core.schema import MediaError, knobs

_NEEDED = {"video", "video_start", "video_end"}
_ADDING = ("before", "after")
"""Ways to build masks that make a video longer: as much of it as there is."""


def clip_of(values: Values, taken: set[str]) -> dict[str, Any] | None:
    """What the time line of the video in a form is drawn from; None where there is none to cut.

    Lengths and times in seconds, ``rate`` in frames a second of the file, ``fps`` of what is made; ``frames``
    is how many it takes at most, None as many as there are.
    """
    path = values.get("video")
    if not path or not taken >= _NEEDED:
        return None
    try:
        facts = facts_of(path)
    except MediaError:
        return None
    if facts.kind != "video" or facts.seconds <= 0 or facts.fps <= 0:
        return None
    return {
        "src": link(Path(path)),
        "seconds": facts.seconds,
        "rate": facts.fps,
        "start": seconds_of(values.get("video_start")) or 0.0,
        "end": seconds_of(values.get("video_end")),
        "frames": None if values.get("mask_builder") in _ADDING else values.get("num_frames"),
        "fps": values.get("fps"),
    }


def seconds_of(value: Any) -> float | None:
    """A time that a field can hold, to the millisecond; None for anything else."""
    knob = knobs()["video_end"]
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return round(seconds, 3) if math.isfinite(seconds) and knob.low <= seconds <= knob.high else None


def html(texts: Texts) -> str:
    """Where the strip is drawn."""
    words = texts.timeline
    ends = {"from": texts.names["video_start"].label, "to": texts.names["video_end"].label}
    handles = "".join(
        f'<div class="handle {name}" role="slider" tabindex="0" aria-orientation="horizontal" '
        f'aria-label="{escape(label)}" title="{escape(words.handle_help)}"></div>'
        for name, label in ends.items()
    )
    figures = [
        f'<figure class="{name}"><canvas aria-hidden="true"></canvas><figcaption><b>{escape(label)}</b>'
        f"<span></span></figcaption>{'<span class=last></span>' * (name == 'to')}</figure>"
        for name, label in ends.items()
    ]
    return (
        f'<div class="timeline" role="group" aria-label="{escape(words.title)}" hidden>'
        '<div class="strip"><div class="track"><canvas class="film" aria-hidden="true"></canvas>'
        '<div class="veil left"></div><div class="veil right"></div><div class="chosen"></div>'
        f'<div class="used"></div>{handles}</div></div>'
        f'<div class="ends">{figures[0]}<div class="middle"><p class="taken"></p>'
        f'<p class="unplayable" hidden>{escape(words.unseen)}</p>'
        f'<button type="button" class="whole">{escape(words.whole)}</button></div>{figures[1]}</div></div>'
    )
