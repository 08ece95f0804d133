"""Queue & History: what waits, and every video ever made, in one component that the browser draws.

The page only tells it that something may have changed. While the tab is in sight, the browser then asks for
what it shows, and for what a button does; the answer comes as the component's property ``told``.
So a hidden tab costs nothing, and a history of thousands no more than its first page.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from ui.assets import read_scripts
from ui.context import Context
from ui.listening import QUIET
from ui.making.form import sentence
from ui.recipes.recipe_words import written
from ui.result import cards, opening
from ui.result.queue_files import QueueFiles
from ui.serving.limits import LIMITS
from ui.strings import Texts
from wan_core.jobs.job import Job, JobStatus
from wan_core.jobs.past import UNDO_SECONDS, Search
from wan_core.schema import InvalidRequest, MediaError, StoreError

PAGE = 24
"""Cards shown at first, and added by "Show more"."""

_MOST_CARDS = 2400
_LOG_BYTES = 200_000

Answer = dict[str, Any]


@dataclass(frozen=True)
class History:
    """The tab's component. It tells ``choose`` and ``edit``, with a job; the studio connects them."""

    cards: gr.HTML

    @property
    def outputs(self) -> list[gr.components.Component]:
        return [self.cards]


def build(context: Context) -> History:
    """Lay the tab out."""
    texts = context.texts
    words = {
        **dataclasses.asdict(texts.history),
        **dataclasses.asdict(texts.queue_file),
        "nothing": texts.history_empty,
        "not_uploaded": texts.recipes.not_uploaded,
    }
    most = LIMITS["public" if context.is_public else "local"].upload
    constants = f"const texts = {json.dumps(words)}, undoSeconds = {UNDO_SECONDS}, most = {most};\n"
    shown = gr.HTML(
        {},
        html_template=page_html(context),
        js_on_load=constants + read_scripts("asking.js", "history.js", "queue_files.js"),
        apply_default_css=False,
        elem_id="history",
    )
    doors = Doors(context)

    def answer(event: gr.EventData) -> Any:
        return gr.update(told={**doors.open(event.door, event.asked), "number": event.number})

    shown.ask(answer, None, shown, trigger_mode="multiple", **QUIET)
    return History(shown)


def updates(watched: str | None) -> list[object]:
    """The values of ``History.outputs``; the card of the job ``watched`` is marked."""
    return [{"watched": watched, "at": time.time()}]


def page_html(context: Context) -> str:
    """What stays: headings, the search, and places for what comes and goes."""
    texts, words = context.texts, context.texts.history
    dates = "".join(
        f'<label><span>{escape(name)}</span><input type="date" name="{key}"></label>'
        for key, name in (("since", words.since), ("until", words.until))
    )
    return (
        f'<div class="head"><h3>{escape(texts.queue_title)}</h3><span class="total"></span>'
        f'<button type="button" class="quiet" data-does="pause" title="{escape(words.pause_help)}" hidden>'
        f"{escape(words.pause)}</button>"
        f'<button type="button" class="quiet" data-does="cancel-all" hidden>{escape(words.cancel_all)}'
        f"</button>{_file_buttons(context.texts)}</div>"
        f'<div class="queue-told" role="status" hidden><div><p></p><ul></ul></div><button type="button" '
        f'class="icon-button" data-does="queue-read" aria-label="{escape(words.close)}">✕</button></div>'
        '<div class="paused" role="status" hidden><span></span>'
        f'<button type="button" data-does="resume">{escape(words.resume)}</button>'
        f'<button type="button" data-does="free" title="{escape(words.free_memory_help)}">'
        f"{escape(words.free_memory)}</button></div>"
        f'<ul class="queue"></ul><p class="nothing waiting">{escape(texts.queue_nothing)}</p>'
        f'<div class="head"><h3>{escape(texts.history_title)}</h3><span class="found"></span></div>'
        '<form class="search" role="search" onsubmit="return false">'
        f'<input type="search" name="words" aria-label="{escape(words.search)}" '
        f'placeholder="{escape(words.search_hint)}" maxlength="300" autocomplete="off">'
        f'<select name="model" aria-label="{escape(words.any_model)}"></select>'
        f'<select name="tag" aria-label="{escape(words.any_tag)}"></select>{dates}'
        f'<button type="button" class="star" data-does="favourites" aria-pressed="false" '
        f'aria-label="{escape(words.favourites)}" title="{escape(words.favourites)}">★</button>'
        f'<button type="button" class="quiet" data-does="clear" hidden>{escape(words.clear)}</button></form>'
        '<ul class="cards"></ul><p class="nothing past"></p>'
        f'<button type="button" class="more" data-does="more" hidden>{escape(texts.show_more)}</button>'
        '<datalist id="history-tags"></datalist><p class="alert" role="alert" hidden></p>'
        '<div class="undo" role="status" hidden><span></span>'
        f'<button type="button" data-does="undo">{escape(words.undo)}</button>'
        f'<button type="button" class="icon-button" data-does="dismiss" aria-label="{escape(words.close)}">✕'
        "</button></div>"
        f'<dialog class="log"><pre></pre><form method="dialog"><button>{escape(words.close)}</button></form>'
        "</dialog>"
    )


def _file_buttons(texts: Texts) -> str:
    """The queue as a file: saved, and loaded by a picker that is out of sight."""
    words = texts.queue_file
    return (
        f'<button type="button" class="quiet" data-does="save-queue" title="{escape(words.save_help)}" '
        f"hidden>{escape(words.save)}</button>"
        f'<button type="button" class="quiet" data-does="load-queue" title="{escape(words.load_help)}">'
        f'{escape(words.load)}</button><input type="file" class="queue-file" accept=".zip" '
        f'aria-label="{escape(words.load)}" hidden>'
    )


class Doors:
    """What the browser may ask and do. What it sends is anybody's, so nothing of it is trusted."""

    def __init__(self, context: Context) -> None:
        self._context, files = context, QueueFiles(context)
        self._acts: dict[str, Callable[[str, Answer], Answer | None]] = {
            "cancel": lambda job, asked: _nothing(context.executor.cancel(job)),
            "cancel-all": lambda job, asked: _nothing(context.store.cancel_all()),
            "move": lambda job, asked: _nothing(context.store.move(job, _text(asked, "before") or None)),
            "duplicate": lambda job, asked: _nothing(context.store.duplicate(job)),
            "again": lambda job, asked: _nothing(context.executor.retry(job)),
            "pause": lambda job, asked: context.store.pause(),
            "resume": lambda job, asked: context.store.pause(False),
            "free": lambda job, asked: context.executor.unload(),
            "star": lambda job, asked: _nothing(context.store.star(job, asked.get("on") is True)),
            "tag": lambda job, asked: _nothing(context.store.tag(job, _text(asked, "tags").split(","))),
            "delete": lambda job, asked: {"undo": context.store.delete(job)},
            "undo": self._undo,
            "log": self._log,
            "recipe": self._recipe,
            "folder": self._folder,
            "save-queue": lambda job, asked: files.save(),
            "load-queue": lambda job, asked: files.load(asked.get("uploaded")),
            "errand": lambda job, asked: files.state(_text(asked, "task")),
        }

    def open(self, door: Any, asked: Any) -> Answer:
        """What one of the two doors answers; an ``error`` where the disk fails it, or a value is refused."""
        asked = asked if isinstance(asked, dict) else {}
        try:
            return self.look(asked) if door == "look" else self.act(asked)
        except InvalidRequest as error:
            return {"error": sentence(error, self._context.texts)}
        except (MediaError, StoreError, OSError) as error:
            return {"error": self._context.texts.said(str(error))}

    def look(self, asked: Answer) -> Answer:
        """What is there: the queue, and the history if it is not as the browser knows it.

        ``asked`` holds ``search``, the number of cards ``shown``, those to come ``after``, and ``known``,
        the last ``revision``.
        """
        return {**self._queue(), **self._past(asked)}

    def act(self, asked: Answer) -> Answer:
        """Do what a button says; the answer may hold an ``error``, a ``log`` or ``undo``."""
        act = self._acts.get(_text(asked, "does"))
        return (act(_text(asked, "job"), asked) if act else None) or {}

    def _queue(self) -> Answer:
        context, words = self._context, self._context.texts.history
        queue, paused = context.store.queue(), context.store.is_paused()
        times = {} if paused else cards.forecasts(queue, context)
        running = any(job.status is JobStatus.RUNNING for job in queue)
        last = times.get(queue[-1].id) if queue else None
        return {
            "queue": [{"id": job.id, "html": cards.row(job, times, context.texts)} for job in queue],
            "can_save": any(job.status is JobStatus.QUEUED for job in queue),
            "total": words.all_due.format(due=cards.due(last, context.texts)) if last and queue[1:] else "",
            "paused": (words.paused_running if running else words.paused) if paused else "",
            "can_free": paused and not running,
        }

    def _past(self, asked: Answer) -> Answer:
        store, search = self._context.store, search_of(asked.get("search"), self._context.texts)
        revision = store.revision()
        if asked.get("known") == revision:
            return {"revision": revision}
        after = _place(asked.get("after"))
        limit = PAGE if after else min(max(_whole(asked.get("shown")), PAGE), _MOST_CARDS)
        jobs = store.history(search, limit + 1, after)
        return {
            "revision": revision,
            "past": [{"id": job.id, "html": cards.card(job, self._context)} for job in jobs[:limit]],
            "after": (jobs[limit - 1].finished, jobs[limit - 1].sequence) if len(jobs) > limit else None,
            "count": store.count(search),
            "models": [(model, self._context.texts.model_title(model)) for model in store.models()],
            "tags": store.tags(),
        }

    def _undo(self, job: str, asked: Answer) -> Answer:
        if self._context.store.undelete(job):
            return {}
        return {"error": self._context.texts.history.too_late}

    def _log(self, job_id: str, asked: Answer) -> Answer:
        job = self._context.store.get(job_id)
        if job is None or job.log is None or not self._context.owned:
            return {"log": self._context.texts.history.no_log}
        try:
            text = job.log.read_bytes()[-_LOG_BYTES:].decode("utf-8", "replace")
        except OSError:
            text = ""
        return {"log": text or self._context.texts.history.no_log}

    def _recipe(self, job_id: str, asked: Answer) -> Answer:
        """What makes the job's video again, to be copied."""
        job = self._context.store.get(job_id)
        kinds = ("cli", "python") if job else ()
        return {"log": "\n\n".join(written(kind, job.request, self._context)["text"] for kind in kinds)}

    def _folder(self, job_id: str, asked: Answer) -> Answer:
        job: Job | None = self._context.store.get(job_id) if self._context.owned else None
        if job is None or job.result is None:
            return {}
        folder = job.result.video.parent
        if opening.open_folder(folder):
            return {}
        return {"error": self._context.texts.history.no_folder.format(folder=folder)}


def search_of(values: Any, texts: Texts) -> Search:
    """The search that a browser asks for; what makes no sense is left out."""
    values = values if isinstance(values, dict) else {}
    return Search(
        words=_text(values, "words")[:300],
        model=_text(values, "model"),
        since=_number(values.get("since")),
        until=_number(values.get("until")),
        favourites=values.get("favourites") is True,
        tag=_text(values, "tag"),
        titles=texts.model_titles,
    )


def _nothing(done: Any) -> None:
    """The answer to what either happened or was no longer needed: the next look shows it."""


def _text(values: Answer, name: str) -> str:
    value = values.get(name)
    return value.replace("\0", "") if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _whole(value: Any) -> int:
    return int(_number(value) or 0)


def _place(value: Any) -> tuple[float, int] | None:
    if not isinstance(value, list) or len(value) != 2 or None in map(_number, value):
        return None
    return float(value[0]), int(value[1])
