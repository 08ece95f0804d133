"""The queue's rows and the history's cards, as HTML; ``assets/js/history.js`` puts them in their places."""

from __future__ import annotations

import time
from collections.abc import Mapping
from html import escape

from ui import units
from ui.context import Context
from ui.links import link
from ui.making.expecting import guessed_seconds
from ui.result import opening, stage
from ui.strings import Texts
from wan_core.jobs.job import UNFINISHED, Job, JobStatus
from wan_core.jobs.queueing import Forecast
from wan_core.media.moving import moving_path

_PROMPT_LENGTH = 200


def forecasts(queue: list[Job], context: Context) -> dict[str, Forecast]:
    """When each job of the queue ends, by its id, where it is known or can be guessed."""
    return context.store.forecast(queue, lambda request: guessed_seconds(request, context))


def due(forecast: Forecast | None, texts: Texts) -> str:
    """When a job ends, in words; empty where nothing is known."""
    if forecast is None:
        return ""
    words = texts.history.due if forecast.learnt else texts.history.due_guess
    return words.format(time=units.in_time(forecast.seconds, texts.time_units))


def row(job: Job, times: Mapping[str, Forecast], texts: Texts) -> str:
    """A job of the queue."""
    waiting, words = job.status is JobStatus.QUEUED, texts.history
    status = texts.statuses[job.status]
    if not waiting and job.total:
        status = f"{status} · {min(job.step / job.total, 1):.0%}"
    grip = f'<span class="grip" title="{escape(words.drag)}" aria-hidden="true">⠿</span>' if waiting else ""
    moves = _button("up", job, words.move_up, "↑") + _button("down", job, words.move_down, "↓")
    items = [_item("duplicate", job, words.duplicate)]
    if waiting:
        items.insert(0, _item("edit", job, words.edit))
    return (
        f'<li class="row {job.status}" data-key="{job.id}"{_draggable(waiting)}>{grip}'
        f'<button type="button" class="open" data-does="choose" data-job="{job.id}">'
        f'<span class="badge">{escape(status)}</span>'
        f'<span class="prompt">{escape(job.request.prompt[:_PROMPT_LENGTH])}</span>'
        f'<span class="due">{escape(due(times.get(job.id), texts))}</span></button>'
        f'<span class="tools">{moves if waiting else ""}{_menu(items, texts)}'
        f"{_button('cancel', job, texts.cancel_job, '✕')}</span></li>"
    )


def card(job: Job, context: Context) -> str:
    """A job of the history."""
    texts = context.texts
    request = job.made
    crisp = " crisp" if stage.is_crisp(request) else ""
    badge = (
        ""
        if job.status is JobStatus.DONE
        else f'<span class="badge">{escape(texts.statuses[job.status])}</span>'
    )
    return (
        f'<li class="card {job.status}{crisp}" data-key="{job.id}">'
        f'<button type="button" class="open" data-does="choose" data-job="{job.id}">'
        f'<span class="picture">{_picture(job)}{badge}</span>'
        f'<span class="prompt">{escape(request.prompt[:_PROMPT_LENGTH])}</span></button>'
        f'<div class="foot"><span class="when">{escape(ago(job.finished or job.created, texts))}</span>'
        f'<span class="tools">{_star(job, texts)}{_menu(_card_items(job, context), texts)}</span></div>'
        f"{_tags(job)}{_again(job, texts)}</li>"
    )


def ago(moment: float, texts: Texts) -> str:
    """How long ago, down to a date."""
    minutes = (time.time() - moment) / 60
    if minutes < 1:
        return texts.just_now
    if minutes < 60:
        return texts.minutes_ago.format(count=int(minutes))
    if minutes < 24 * 60:
        return texts.hours_ago.format(count=int(minutes / 60))
    return time.strftime("%Y-%m-%d", time.localtime(moment))


def _picture(job: Job) -> str:
    if job.result is None or (image := link(job.result.thumbnail)) is None:
        return ""
    video = job.result.video
    moving = link(moving_path(video)) or (link(video) if video.suffix in (".gif", ".webp") else None)
    plays = f' data-moving="{moving}"' if moving else ""
    if not moving and video.suffix in (".mp4", ".webm") and (address := link(video)):
        plays = f' data-video="{address}"'
    return f'<img src="{image}" alt="" loading="lazy" draggable="false"{plays}>'


def _card_items(job: Job, context: Context) -> list[str]:
    words = context.texts.history
    items = [_tag_input(job, context.texts), _item("duplicate", job, words.duplicate)]
    if job.result is not None and job.result.video.exists():
        items.append(_item("compare", job, context.texts.panel.compare))
    items.append(_item("recipe", job, context.texts.recipes.of_result))
    if job.log is not None and context.owned:
        items.append(_item("log", job, words.show_log))
    if job.result is not None and context.owned and opening.opener():
        items.append(_item("folder", job, words.open_folder))
    return [*items, _item("delete", job, words.delete)]


def _again(job: Job, texts: Texts) -> str:
    """What can be done about a job without a video."""
    if job.status not in UNFINISHED:
        return ""
    words = texts.remedies[job.remedy] if job.remedy else texts.history.retry
    return (
        f'<button type="button" class="again" data-does="again" data-job="{job.id}">{escape(words)}</button>'
    )


def _star(job: Job, texts: Texts) -> str:
    words, sign = (texts.history.unstar, "★") if job.favourite else (texts.history.star, "☆")
    pressed = f' aria-pressed="{str(job.favourite).lower()}"'
    return _button("star", job, words, sign, pressed)


def _tags(job: Job) -> str:
    if not job.tags:
        return ""
    chips = "".join(
        f'<button type="button" data-does="by-tag" data-tag="{escape(tag)}">{escape(tag)}</button>'
        for tag in job.tags
    )
    return f'<div class="tags">{chips}</div>'


def _tag_input(job: Job, texts: Texts) -> str:
    words = texts.history
    return (
        f'<label class="tag-input"><span>{escape(words.tags)}</span><input type="text" data-job="{job.id}" '
        f'value="{escape(", ".join(job.tags))}" placeholder="{escape(words.tags_hint)}" maxlength="400" '
        'list="history-tags" autocomplete="off"></label>'
    )


def _menu(items: list[str], texts: Texts) -> str:
    name = escape(texts.history.more)
    return (
        f'<details class="menu"><summary aria-label="{name}" title="{name}">⋯</summary>'
        f"<div>{''.join(items)}</div></details>"
    )


def _item(does: str, job: Job, words: str) -> str:
    return f'<button type="button" data-does="{does}" data-job="{job.id}">{escape(words)}</button>'


def _button(does: str, job: Job, words: str, sign: str, more: str = "") -> str:
    name = escape(words)
    return (
        f'<button type="button" class="icon-button {does}" data-does="{does}" data-job="{job.id}" '
        f'aria-label="{name}" title="{name}"{more}>{sign}</button>'
    )


def _draggable(waiting: bool) -> str:
    return ' draggable="true"' if waiting else ""
