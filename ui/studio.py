"""The page: header, tabs on the left, the shared panel on the right, and what connects them.

Nothing here waits for a video. A click writes to the job store or reads from it; a timer reads it again
every second while something is under way. So any number of pages, opened at any time, show the same jobs.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from ui import header
from ui.context import Context
from ui.listening import QUIET, Handler, reporting
from ui.making import bench_connect, bench_layout, making_jobs, memory
from ui.making.bench import TELL_JS, Bench
from ui.recipes import deep_links, recipe_bar
from ui.result import panel, sending
from ui.serving.endpoints import add_endpoints
from ui.strings import LANGUAGES
from ui.tabs import history, making, models, settings
from ui.tabs.making_tab import MakingTab
from ui.tabs.plans import offered_tabs
from wan_core.jobs.job import Job, JobStatus, WorkerState
from wan_core.jobs.store import JobStore

_SECONDS_BETWEEN_LOOKS = 1.0
_UNLOAD_SECONDS = 5.0
_RECENT = 12
_KEPT = ("stoppable", "known")
"""Texts that the browser keeps for the page, out of sight."""


@dataclass(frozen=True)
class Page:
    """All parts of the page.

    ``watched`` is the job that was picked to look at; None follows the queue. ``stoppable`` is the id of
    the job that Stop is for: the browser keeps it, so that a click means what the person saw, whatever has
    happened since. ``known`` changes when the expected time may: with the number of finished videos, and with
    the device.
    """

    context: Context
    header: header.Header
    strip: gr.Tabs
    bench: Bench
    history: history.History
    panel: panel.Panel
    watched: gr.State
    stoppable: gr.Textbox
    known: gr.Textbox
    timer: gr.Timer

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What ``look`` updates."""
        return [
            self.panel.notice,
            self.header.line,
            self.header.unload,
            self.bench.parts["stop"],
            *self.panel.outputs,
            *self.history.outputs,
            self.stoppable,
            self.known,
            self.timer,
        ]

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
            _stop_button(context, stoppable),
            *panel.updates(job, context, self.panel.tabs),
            *history.updates(job and job.id),
            stoppable.id if stoppable else "",
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
        return reporting(handler, [*first, *self.outputs], notice or self.panel.notice, self.context.texts)


def pick(store: JobStore, watched: str | None) -> Job | None:
    """The job to show: the one picked, else the one at work, else the one that ended last."""
    job = store.get(watched) if watched else None
    if job is not None:
        return job
    if (first := store.first()) is not None:
        return first
    return max(store.list(limit=_RECENT), key=lambda past: past.finished or 0, default=None)


def _stoppable(store: JobStore, shown: Job | None) -> Job | None:
    """The job that Stop would stop: the one shown if it is under way, else the one at work."""
    if shown is not None and not shown.status.is_final:
        return shown
    return store.first()


def _stop_button(context: Context, stoppable: Job | None) -> Any:
    """What Stop says: it stops what was asked for together."""
    count, texts = len(making_jobs.together(context.store, stoppable)), context.texts
    words = texts.panel.stop_all.format(count=count) if count > 1 else texts.stop
    return gr.update(value=words, interactive=stoppable is not None)


def build(context: Context) -> gr.Blocks:
    """The page, ready to be launched."""
    texts = context.texts
    os.environ.setdefault("GRADIO_TEMP_DIR", str(context.settings.home / "cache"))  # components read it
    with gr.Blocks(
        title=texts.title, analytics_enabled=False, delete_cache=(3600, 86400), fill_width=True
    ) as blocks:
        if not context.is_public:
            add_endpoints(context)  # first: their names are theirs
        head = header.build(texts)
        with gr.Row(elem_id="body"):
            with gr.Column(scale=5, min_width=320, elem_id="inputs"):
                strip, bench, past, selected = _build_tabs(context, blocks)
            with gr.Column(scale=6, min_width=320, elem_id="panel"):
                right = panel.build(context, list(bench.tabs))
        timer = gr.Timer(_SECONDS_BETWEEN_LOOKS, active=False)
        again = gr.Button(elem_id="look-again", elem_classes="unseen")
        ids = [gr.Textbox(visible="hidden", elem_id=name) for name in _KEPT]
        page = Page(context, head, strip, bench, past, right, gr.State(None), *ids, timer)
        _connect_looking(page, blocks, [again.click, selected])
        making_jobs.connect(page, memory.connect(blocks, bench, strip))
        _connect_unloading(page)
        sending.connect(page)
        recipe_bar.connect(page)
        _connect_choosing(page)
    blocks.queue(max_size=64, api_open=False)
    return blocks


def build_others(context: Context) -> dict[str, gr.Blocks]:
    """The pages in all languages but the context's own, see ``ui.serving.languages``."""
    others = [texts for texts in LANGUAGES.values() if texts.language != context.texts.language]
    return {texts.language: build(replace(context, texts=texts)) for texts in others}


def _build_tabs(context: Context, blocks: gr.Blocks) -> tuple[gr.Tabs, Bench, history.History, Any]:
    """The strip with the form below it, the history, and the event of choosing the history.

    What concerns the machine is connected here, as nothing else of the page has to do with it.
    """
    plans = offered_tabs(context.own_models)
    first = next(
        (plan.key for plan in plans if context.model in [spec.id for spec in plan.models]), plans[0].key
    )
    tabs, makers, others = {}, {}, []
    with gr.Tabs(elem_id="tabs", selected=first, overflow_behavior="wrap") as strip:
        for plan in plans:
            with gr.Tab(context.texts.tabs[plan.key], id=plan.key) as makers[plan.key]:
                tabs[plan.key] = making.build(context, plan)
        with gr.Tab(context.texts.tab_history, id="history", elem_id="history-tab") as history_tab:
            past = history.build(context)
        with gr.Tab(context.texts.tab_models, id="models") as models_tab:
            models.connect(models.build(context), models_tab.select, blocks.load)
        others += [history_tab, models_tab]
        if context.owned:
            with gr.Tab(context.texts.tab_settings, id="settings") as settings_tab:
                settings.connect(settings.build(context), settings_tab.select)
            others.append(settings_tab)
    bench = build_bench(context, tabs, first)
    bench_connect.connect_strip(bench, makers)
    for place in (*makers.values(), *others):
        makes = "false" if place in others else "true"
        place.select(None, None, None, js=f"() => window.wanStudio.show({makes})", **QUIET)
    return strip, bench, past, history_tab.select


def build_bench(context: Context, tabs: dict[str, MakingTab], first: str) -> Bench:
    """The form, connected to what each tab is given."""
    active = gr.Textbox(first, visible="hidden", elem_id="active")
    filling, editing = (gr.Textbox(visible="hidden", elem_id=name) for name in ("filling", "editing"))
    bench = Bench(context, tabs, active, gr.State({}), filling, editing)
    with gr.Column(elem_id="form"):
        bench_layout.lay_out(bench, first)
        bench.parts["recipes"] = recipe_bar.build(context.texts)
    bench.filling.value = bench.fill({})
    bench_connect.connect(bench)
    for tab in tabs.values():
        making.connect(tab, bench)
    return bench


def _connect_looking(page: Page, blocks: gr.Blocks, more_events: list[Any]) -> None:
    """Looks that change nothing: on load, on the timer, on coming back to the page or the history."""
    deep_links.connect_job(page, blocks.load)
    events = [page.timer.tick, *more_events]
    gr.on(events, page.reporting(page.look), page.state, page.outputs, **QUIET)
    page.known.change(None, None, None, js=TELL_JS, **QUIET)


def _connect_unloading(page: Page) -> None:
    context = page.context

    def unload(watched: str | None) -> list[Any]:
        context.executor.unload()
        deadline = time.monotonic() + _UNLOAD_SECONDS
        while header.can_unload(context) and time.monotonic() < deadline:
            time.sleep(0.1)
        return page.look(watched, "")

    page.header.unload.click(page.reporting(unload), page.state, page.outputs, **QUIET)


def _connect_choosing(page: Page) -> None:
    """A job picked in the history or the panel is the one that is looked at; without one, the queue is."""

    def choose(event: gr.EventData) -> list[Any]:
        job_id = str(event.job) or None
        return [job_id, *page.look(job_id, "")]

    chosen = [page.watched, *page.outputs]
    for part in (page.history.cards, page.panel.view):
        part.choose(page.reporting(choose, page.watched), None, chosen, **QUIET)
