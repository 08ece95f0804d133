"""Queue & History: what waits, and every video ever made; a click shows one in the panel."""

from __future__ import annotations

import time
from dataclasses import dataclass
from html import escape

import gradio as gr

from ui.context import Context
from ui.links import link
from ui.strings import Texts
from wan_core.jobs.job import Job, JobStatus

PAGE = 24
"""Cards shown at first, and added by "Show more"."""

_FINAL = tuple(status for status in JobStatus if status.is_final)

_CARDS_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-job]');
  const known = { remove: 'remove', again: 'again' };
  if (button) trigger(known[button.dataset.does] ?? 'choose', { job: button.dataset.job });
});
"""


@dataclass(frozen=True)
class History:
    """The tab's components; the studio connects them. ``shown`` is the number of cards wanted."""

    cards: gr.HTML
    more: gr.Button
    shown: gr.State

    @property
    def outputs(self) -> list[gr.components.Component]:
        return [self.cards, self.more]


def build(context: Context) -> History:
    """Lay the tab out."""
    cards = gr.HTML(elem_id="history", js_on_load=_CARDS_JS, apply_default_css=False)
    more = gr.Button(context.texts.show_more, size="sm", visible=False, elem_id="show-more")
    return History(cards, more, gr.State(PAGE))


def updates(watched: str | None, shown: int, context: Context) -> list[object]:
    """The values of ``History.outputs``; the card of the job ``watched`` is marked."""
    jobs = context.store.list(limit=shown + 1, statuses=_FINAL)
    page = cards_html(context.store.queue(), jobs[:shown], watched, context.texts)
    return [page, gr.update(visible=len(jobs) > shown)]


def cards_html(queue: list[Job], past: list[Job], watched: str | None, texts: Texts) -> str:
    """The whole tab: the queue in the order in which it runs, then the past, newest first."""
    waiting = "".join(_queue_row(job, watched, texts) for job in queue)
    cards = "".join(_card(job, watched, texts) for job in past)
    return (
        f"<h3>{escape(texts.queue_title)}</h3>"
        f'<ul class="queue">{waiting or _nothing(texts.queue_nothing)}</ul>'
        f"<h3>{escape(texts.history_title)}</h3>"
        f'<ul class="cards">{cards or _nothing(texts.history_empty)}</ul>'
    )


def _nothing(words: str) -> str:
    return f'<li class="nothing">{escape(words)}</li>'


def _queue_row(job: Job, watched: str | None, texts: Texts) -> str:
    words = texts.statuses[job.status]
    if job.status is JobStatus.RUNNING and job.total:
        words = f"{words} · {min(job.step / job.total, 1):.0%}"
    return (
        f'<li class="row {job.status}"><button type="button" data-job="{job.id}"{_pressed(job, watched)}>'
        f'<span class="badge">{escape(words)}</span>'
        f'<span class="prompt">{escape(job.request.prompt[:200])}</span></button>'
        f'<button type="button" class="cancel" data-does="remove" data-job="{job.id}" '
        f'aria-label="{escape(texts.cancel_job)}" title="{escape(texts.cancel_job)}">✕</button></li>'
    )


def _card(job: Job, watched: str | None, texts: Texts) -> str:
    image = link(job.result.thumbnail) if job.result else None
    crisp = " crisp" if max(job.request.width or 0, job.request.height or 0) < 256 else ""
    picture = f'<img src="{image}" alt="" loading="lazy">' if image else ""
    badge = (
        ""
        if job.status is JobStatus.DONE
        else f'<span class="badge">{escape(texts.statuses[job.status])}</span>'
    )
    return (
        f'<li class="card {job.status}{crisp}">'
        f'<button type="button" data-job="{job.id}"{_pressed(job, watched)}>'
        f'<span class="picture">{picture}{badge}</span>'
        f'<span class="prompt">{escape(job.request.prompt[:200])}</span>'
        f'<span class="when">{escape(_ago(job.finished or job.created, texts))}</span></button>'
        f"{_again(job, texts)}</li>"
    )


def _again(job: Job, texts: Texts) -> str:
    """What can be done about a job without a video."""
    if job.remedy is None:
        return ""
    words = escape(texts.remedies[job.remedy])
    return f'<button type="button" class="again" data-does="again" data-job="{job.id}">{words}</button>'


def _pressed(job: Job, watched: str | None) -> str:
    return ' aria-pressed="true"' if job.id == watched else ""


def _ago(moment: float, texts: Texts) -> str:
    """How long ago, down to a date."""
    minutes = (time.time() - moment) / 60
    if minutes < 1:
        return texts.just_now
    if minutes < 60:
        return texts.minutes_ago.format(count=int(minutes))
    if minutes < 24 * 60:
        return texts.hours_ago.format(count=int(minutes / 60))
    return time.strftime("%Y-%m-%d", time.localtime(moment))
