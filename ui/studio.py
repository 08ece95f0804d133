"""The page: header, tabs on the left, the shared panel on the right, and what connects them.

Nothing here waits for a video. A click writes to the job store or reads from it; a timer reads it again
every second while something is under way. So any number of pages, opened at any time, show the same jobs.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui import form, header, making_jobs, memory, panel, sending
from ui.context import Context
from ui.listening import QUIET, Handler, error_html, reporting
from ui.tabs import history, making, models, settings
from ui.tabs.making_tab import MakingTab
from ui.tabs.plans import offered_tabs
from wan_core.jobs.job import Job, JobStatus, WorkerState
from wan_core.jobs.store import JobStore
from wan_core.schema import InvalidRequest

_SECONDS_BETWEEN_LOOKS = 1.0
_UNLOAD_SECONDS = 5.0
_RECENT = 12
_KEPT = ("showing", "stoppable", "known", "editing")
"""Texts that the browser keeps for the page, out of sight."""


@dataclass(frozen=True)
class Page:
    """All parts of the page.

    ``watched`` is the job that was picked to look at; None follows the queue. ``showing`` is the id of the
    job that the page shows, ``stoppable`` that of the job that its Stop is for: both are kept by the
    browser, so that a click means what the person saw, whatever has happened since. ``known`` changes
    when the expected time may: with the number of finished videos, and with the device. ``editing`` is the
    waiting job that the form will change, see ``ui.editing``.
    """

    context: Context
    header: header.Header
    strip: gr.Tabs
    tabs: list[MakingTab]
    history: history.History
    panel: panel.Panel
    watched: gr.State
    showing: gr.Textbox
    stoppable: gr.Textbox
    known: gr.Textbox
    editing: gr.Textbox
    timer: gr.Timer

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What ``look`` updates."""
        return [
            self.panel.notice,
            self.header.line,
            self.header.unload,
            *self.stops,
            *self.panel.outputs,
            *self.history.outputs,
            self.showing,
            self.stoppable,
            self.known,
            self.timer,
        ]

    @property
    def stops(self) -> list[gr.components.Component]:
        """The Stop of each tab; all mean the same job."""
        return [tab.parts["stop"] for tab in self.tabs]

    @property
    def state(self) -> list[gr.components.Component]:
        """What ``look`` is called with."""
        return [self.watched]

    def look(self, watched: str | None, notice: str | None = None) -> list[Any]:
        """Read the store and show what is there: values of ``outputs``. Without a notice, the last stays."""
        context = self.context
        job = pick(context.store, watched)
        counts = context.store.counts()
        busy = counts[JobStatus.RUNNING] + counts[JobStatus.QUEUED] > 0
        worker = context.store.worker_status()
        stoppable = _stoppable(context.store, job)
        return [
            gr.skip() if notice is None else notice,
            header.line_html(context),
            gr.update(interactive=header.can_unload(context)),
            *[gr.update(interactive=stoppable is not None)] * len(self.tabs),
            *panel.updates(job, context, self.panel.send),
            *history.updates(job and job.id),
            job.id if job else "",
            stoppable or "",
            f"{counts[JobStatus.DONE]} {worker.device}",
            gr.Timer(active=busy or worker.state is WorkerState.STARTING),
        ]

    def reporting(
        self,
        handler: Handler,
        *first: gr.components.Component,
        notice: gr.components.Component | None = None,
    ) -> Handler:
        """``handler``, which returns the values of ``first`` and of ``outputs``, see ``listening``.

        What fails is said in ``notice``, which is the panel's where none is given.
        """
        return reporting(handler, [*first, *self.outputs], notice or self.panel.notice)


def pick(store: JobStore, watched: str | None) -> Job | None:
    """The job to show: the one picked, else the one at work, else the one that ended last."""
    job = store.get(watched) if watched else None
    if job is not None:
        return job
    queue = store.queue()
    if queue:
        return queue[0]
    return max(store.list(limit=_RECENT), key=lambda past: past.finished or 0, default=None)


def _stoppable(store: JobStore, shown: Job | None) -> str | None:
    """The job that Stop would stop: the one shown if it is under way, else the one at work."""
    if shown is not None and not shown.status.is_final:
        return shown.id
    queue = store.queue()
    return queue[0].id if queue else None


def build(context: Context) -> gr.Blocks:
    """The page, ready to be launched."""
    texts = context.texts
    os.environ.setdefault("GRADIO_TEMP_DIR", str(context.settings.home / "cache"))  # components read it
    with gr.Blocks(
        title=texts.title, analytics_enabled=False, delete_cache=(3600, 86400), fill_width=True
    ) as blocks:
        head = header.build(texts)
        with gr.Row(elem_id="body"):
            with gr.Column(scale=5, min_width=320, elem_id="inputs"):
                strip, tabs, past, selected = _build_tabs(context, blocks)
            with gr.Column(scale=6, min_width=320, elem_id="panel"):
                right = panel.build(texts, [tab.key for tab in tabs])
        timer = gr.Timer(_SECONDS_BETWEEN_LOOKS, active=False)
        again = gr.Button(elem_id="look-again", elem_classes="unseen")
        ids = [gr.Textbox(visible="hidden", elem_id=name) for name in _KEPT]
        page = Page(context, head, strip, tabs, past, right, gr.State(None), *ids, timer)
        _connect_looking(page, blocks, [again.click, selected])
        saved = memory.connect(blocks, tabs, context)
        boxes = [tab.controls["model"] for tab in tabs]
        blocks.load(lambda: [tab.offered_models() for tab in tabs], None, boxes, **QUIET)
        for tab in tabs:
            making_jobs.connect(page, tab, saved)
        _connect_panel(page)
        sending.connect(page)
        _connect_history(page)
    blocks.queue(max_size=64, api_open=False)
    return blocks


def _build_tabs(context: Context, blocks: gr.Blocks) -> tuple[gr.Tabs, list[MakingTab], history.History, Any]:
    """The strip, what makes, the history, and the event of choosing the history.

    What concerns the machine is connected here, as nothing else of the page has to do with it.
    """
    tabs, plans = [], offered_tabs(context.own_models)
    wanted = next(
        (plan.key for plan in plans if context.model in [spec.id for spec in plan.models]), plans[0].key
    )
    with gr.Tabs(elem_id="tabs", selected=wanted, overflow_behavior="wrap") as strip:
        for plan in plans:
            with gr.Tab(context.texts.tabs[plan.key], id=plan.key) as held:
                tabs.append(making.build(context, plan))
            held.select(tabs[-1].tell, tabs[-1].inputs, tabs[-1].told, **QUIET)
        with gr.Tab(context.texts.tab_history, id="history") as history_tab:
            past = history.build(context)
        with gr.Tab(context.texts.tab_models, id="models") as models_tab:
            models.connect(models.build(context), models_tab.select, blocks.load)
        if context.owned:
            with gr.Tab(context.texts.tab_settings, id="settings") as settings_tab:
                settings.connect(settings.build(context), settings_tab.select)
    return strip, tabs, past, history_tab.select


def _connect_looking(page: Page, blocks: gr.Blocks, more_events: list[Any]) -> None:
    """Looks that change nothing: on load, on the timer, on coming back to the page or the history."""
    events = [blocks.load, page.timer.tick, *more_events]
    gr.on(events, page.reporting(page.look), page.state, page.outputs, **QUIET)
    page.known.change(None, None, None, js="() => window.wanStudio.tellAgain()", **QUIET)


def _connect_panel(page: Page) -> None:
    """Unload, and what can be done with the job shown."""
    context, right = page.context, page.panel

    def unload(watched: str | None) -> list[Any]:
        context.executor.unload()
        deadline = time.monotonic() + _UNLOAD_SECONDS
        while header.can_unload(context) and time.monotonic() < deadline:
            time.sleep(0.1)
        return page.look(watched, "")

    def delete(confirmed: bool, showing: str, watched: str | None) -> list[Any]:
        if not confirmed:
            return [watched, *page.look(watched)]
        try:
            context.store.delete(showing)
        except InvalidRequest as error:
            return [watched, *page.look(watched, error_html(form.sentence(error)))]
        return [None, *page.look(None, "")]

    def again(showing: str, watched: str | None) -> list[Any]:
        context.executor.retry(showing)
        return page.look(watched, "")

    right.again.click(page.reporting(again), [page.showing, *page.state], page.outputs, **QUIET)
    page.header.unload.click(page.reporting(unload), page.state, page.outputs, **QUIET)
    right.delete.click(
        page.reporting(delete, page.watched),
        [right.confirmed, page.showing, *page.state],
        [page.watched, *page.outputs],
        js=right.confirm_js,
        **QUIET,
    )


def _connect_history(page: Page) -> None:
    def choose(event: gr.EventData) -> list[Any]:
        job_id = str(event.job)
        return [job_id, *page.look(job_id, "")]

    chosen = [page.watched, *page.outputs]
    page.history.cards.choose(page.reporting(choose, page.watched), None, chosen, **QUIET)
