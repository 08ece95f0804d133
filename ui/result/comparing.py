"""Two results side by side: what plays on each side, and the settings in which they differ.

``assets/js/compare.js`` plays them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from ui import units
from ui.context import Context
from ui.links import link
from ui.result import stage
from ui.result.cards import ago
from ui.strings import Texts
from wan_core.jobs.job import Job, JobStatus
from wan_core.schema import InvalidRequest, knobs
from wan_core.schema.lora import LoraUse

OFFERED = 60
"""How many of the latest results can be chosen from."""

_TITLE_LENGTH = 70

Row = tuple[str, str, str]


def dialog_html(texts: Texts) -> str:
    """The window, empty."""
    words = texts.panel
    sides = "".join(
        f'<figure><select aria-label="{escape(name)}"></select><div class="view"></div></figure>'
        for name in (words.left, words.right)
    )
    return (
        f'<dialog class="compare" aria-label="{escape(words.compare)}"><header>'
        f"<h3>{escape(words.compare)}</h3>"
        f'<button type="button" class="close" data-does="close" aria-label="{escape(words.close)}" '
        f'title="{escape(words.close)}">✕</button></header><p class="alert" role="alert" hidden></p>'
        f'<div class="sides">{sides}</div><div class="transport">'
        f'<button type="button" class="play" data-does="play" aria-label="{escape(words.pause)}">❚❚</button>'
        f'<input type="range" min="0" max="1" step="any" value="0" aria-label="{escape(words.position)}">'
        '<output></output></div><div class="differences"></div></dialog>'
    )


def compare(left: str, right: str, context: Context) -> dict[str, Any]:
    """What the window shows of two jobs; without a ``right`` one, the result that is most like the left.

    Raises:
        InvalidRequest: there are no two results to compare.
    """
    texts, store = context.texts, context.store
    recent = [job for job in store.list(OFFERED, statuses=[JobStatus.DONE]) if _media(job)]
    one = store.get(left)
    others = [job for job in recent if job.id != left]
    other = store.get(right) if right else max(others, key=lambda job: _likeness(one, job), default=None)
    if one is None or other is None or not (_media(one) and _media(other)):
        raise InvalidRequest("compare", texts.panel.nothing_else, "")
    listed = {job.id: job for job in (*recent, one, other)}
    return {
        "sides": [_side(one), _side(other)],
        "offered": [(job.id, title(job, texts)) for job in listed.values()],
        "differences": _table(differences(one, other, texts), texts),
    }


def differences(one: Job, other: Job, texts: Texts) -> list[Row]:
    """(label, left, right) of every setting in which two jobs differ, then of what they took."""
    left, right = one.made, other.made
    changed = [name for name in knobs() if getattr(left, name) != getattr(right, name)]
    rows = [
        (texts.names[name].label, *(in_words(name, getattr(side, name), texts) for side in (left, right)))
        for name in changed
    ]
    took = [
        (texts.panel.time_taken, _took(one, texts), _took(other, texts)),
        (texts.panel.memory, _peak(one), _peak(other)),
    ]
    return [*rows, *(row for row in took if row[1] != row[2] and row[1] and row[2])]


def in_words(name: str, value: Any, texts: Texts) -> str:
    """A setting's value as a person reads it."""
    words = texts.panel
    if value is None or value == "" or value == ():
        return words.none
    if isinstance(value, bool):
        return words.yes if value else words.no
    if name == "model":
        return texts.model_title(value)
    if isinstance(value, tuple):
        return ", ".join(in_words("", item, texts) for item in value)
    if isinstance(value, LoraUse):
        return f"{value.file} ({in_words('', value.strength, texts)})"
    return f"{value:g}" if isinstance(value, float) else str(value)


def title(job: Job, texts: Texts) -> str:
    """A job in a list; what tells it from others of its prompt comes first."""
    request, prompt = job.made, job.made.prompt
    short = prompt if len(prompt) <= _TITLE_LENGTH else f"{prompt[:_TITLE_LENGTH]}…"
    steps = texts.panel.steps.format(steps=request.num_inference_steps)
    facts = [texts.seed.format(seed=request.seed), steps, ago(job.finished or job.created, texts)]
    return " · ".join([*facts, short])


def _likeness(one: Job | None, other: Job) -> tuple[int, int]:
    """How many settings are the same; of several results the latest."""
    if one is None:
        return 0, other.sequence
    left, right = one.made, other.made
    return sum(getattr(left, name) == getattr(right, name) for name in knobs()), other.sequence


def _media(job: Job) -> bool:
    return job.result is not None and job.result.video.exists()


def _side(job: Job) -> dict[str, Any]:
    """What plays: its address, and whether it is a picture; nothing where that is yet to be made."""
    video = job.result.video
    picture = stage.is_picture(video)
    direct = picture or video.suffix in stage.PLAYED
    request = job.made
    return {
        "job": job.id,
        "picture": picture,
        "href": link(video) if direct else None,
        "crisp": stage.is_crisp(request),
        "fps": request.fps or 1,
        "shape": "{}/{}".format(*stage.size_of(request)),
    }


def _table(rows: Sequence[Row], texts: Texts) -> str:
    words = texts.panel
    if not rows:
        return f'<p class="same">{escape(words.no_difference)}</p>'
    body = "".join(
        f'<tr><th scope="row">{escape(label)}</th><td>{escape(left)}</td><td>{escape(right)}</td></tr>'
        for label, left, right in rows
    )
    heads = "".join(
        f'<th scope="col">{escape(name)}</th>' for name in (words.setting, words.left, words.right)
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _took(job: Job, texts: Texts) -> str:
    seconds = sum(job.result.seconds.values()) if job.result else 0.0
    return units.in_time(seconds, texts.time_units) if seconds else ""


def _peak(job: Job) -> str:
    return units.in_bytes(job.result.peak_bytes) if job.result and job.result.peak_bytes > 1 else ""
