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

from ui import form, header, panel, preflight
from ui.context import Context
from ui.tabs import history, text_to_video
from wan_core.jobs.job import Job, JobStatus, WorkerState
from wan_core.jobs.store import JobStore
from wan_core.schema import GenerationRequest, InvalidRequest, StoreError

_SECONDS_BETWEEN_LOOKS = 1.0
_UNLOAD_SECONDS = 5.0
_RECENT = 12

_QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""For every listener: all of them are quick, so they pass the queue by, and none is an API endpoint."""


@dataclass(frozen=True)
class Page:
    """All parts of the page.

    ``watched`` is the job that was picked to look at; None follows the queue. ``done`` is the number of
    finished videos, from which the expected time is learnt.
    """

    context: Context
    header: header.Header
    tab: text_to_video.TextToVideo
    history: history.History
    panel: panel.Panel
    watched: gr.State
    done: gr.Number
    timer: gr.Timer

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What ``look`` updates."""
        return [
            self.header.line,
            self.header.unload,
            self.tab.stop,
            *self.panel.outputs,
            *self.history.outputs,
            self.done,
            self.timer,
        ]

    def look(self, watched: str | None, shown: int) -> list[Any]:
        """Read the store and show what is there: values of ``outputs``."""
        context = self.context
        job = pick(context.store, watched)
        counts = context.store.counts()
        busy = counts[JobStatus.RUNNING] + counts[JobStatus.QUEUED] > 0
        settling = context.store.worker_status().state is WorkerState.STARTING
        return [
            header.line_html(context),
            gr.update(interactive=header.can_unload(context)),
            gr.update(interactive=_stoppable(context.store, job) is not None),
            *panel.updates(job, context),
            *history.updates(job and job.id, shown, context),
            counts[JobStatus.DONE],
            gr.Timer(active=busy or settling),
        ]


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
            with gr.Column(scale=5, min_width=320, elem_id="inputs"), gr.Tabs(elem_id="tabs"):
                with gr.Tab(texts.tab_text_to_video, id="t2v"):
                    tab = text_to_video.build(context)
                with gr.Tab(texts.tab_history, id="history") as history_tab:
                    past = history.build(context)
            with gr.Column(scale=6, min_width=320, elem_id="panel"):
                right = panel.build(texts)
        timer = gr.Timer(_SECONDS_BETWEEN_LOOKS, active=False)
        again = gr.Button(elem_id="look-again", elem_classes="unseen")
        page = Page(context, head, tab, past, right, gr.State(None), gr.Number(visible="hidden"), timer)
        _connect_looking(page, blocks, [again.click, history_tab.select])
        _connect_memory(page, blocks)
        _connect_making(page)
        _connect_panel(page)
        _connect_history(page)
    blocks.queue(max_size=64, api_open=False)
    return blocks


def _connect_looking(page: Page, blocks: gr.Blocks, more_events: list[Any]) -> None:
    """Looks that change nothing: on load, on the timer, on coming back to the page or the tab."""
    seen = [page.watched, page.history.shown]
    gr.on([blocks.load, page.timer.tick, *more_events], page.look, seen, page.outputs, **_QUIET)
    page.done.change(page.tab.tell, page.tab.inputs, page.tab.preflight, **_QUIET)


def _connect_memory(page: Page, blocks: gr.Blocks) -> None:
    """Each browser keeps the settings it used last and starts from them."""
    tab, wanted = page.tab, page.context.model
    saved = gr.BrowserState(None, storage_key="wan-studio", secret="wan-studio")

    def remember(*arguments: Any) -> Any:
        try:
            return form.to_request(text_to_video.TASK, tab.values(arguments)).model_dump()
        except InvalidRequest:
            return gr.skip()

    def recall(values: dict[str, Any] | None) -> list[Any]:
        try:
            request = GenerationRequest.parse(values or {})
            if wanted not in (None, request.model):
                request = GenerationRequest(model=wanted, prompt=request.prompt)
            return tab.restore(request)
        except InvalidRequest:  # saved by another version
            return [gr.skip()] * (len(tab.model_outputs) + 1)

    tab.generate.click(remember, tab.inputs, saved, **_QUIET)
    tab.tell_after(blocks.load(recall, saved, [*tab.model_outputs, tab.notice], **_QUIET))


def _connect_making(page: Page) -> None:
    """Generate, Stop, Unload."""
    context, tab = page.context, page.tab
    outputs = [page.watched, tab.notice, *page.outputs]

    def generate(watched: str | None, shown: int, *arguments: Any) -> list[Any]:
        before = len(context.store.queue())
        try:
            for request in form.to_requests(text_to_video.TASK, tab.values(arguments)):
                context.executor.submit(request)
        except (InvalidRequest, StoreError) as error:
            words = form.sentence(error) if isinstance(error, InvalidRequest) else str(error)
            return [watched, preflight.error_html(words), *page.look(watched, shown)]
        words = context.texts.queued_notice.format(count=before) if before else ""
        return [None, preflight.note_html(words), *page.look(None, shown)]

    def stop(watched: str | None, shown: int) -> list[Any]:
        job_id = _stoppable(context.store, pick(context.store, watched))
        if job_id is not None:
            context.executor.cancel(job_id)
        return [watched, "", *page.look(watched, shown)]

    def unload(watched: str | None, shown: int) -> list[Any]:
        context.executor.unload()
        deadline = time.monotonic() + _UNLOAD_SECONDS
        while header.can_unload(context) and time.monotonic() < deadline:
            time.sleep(0.1)
        return [watched, "", *page.look(watched, shown)]

    state = [page.watched, page.history.shown]
    made = tab.generate.click(generate, [*state, *tab.inputs], outputs, **_QUIET)
    stopped = tab.stop.click(stop, state, outputs, **_QUIET)
    page.header.unload.click(unload, state, outputs, **_QUIET)
    for done in (made, stopped):  # a look that was under way may have put the timer to sleep meanwhile
        done.then(page.look, state, page.outputs, **_QUIET)


def _connect_panel(page: Page) -> None:
    """What can be done with the job shown."""
    context, tab, right = page.context, page.tab, page.panel

    def reuse(watched: str | None) -> list[Any]:
        job = pick(context.store, watched)
        if job is None:
            return [gr.skip()] * (len(tab.model_outputs) + 1)
        return tab.restore(job.result.request if job.result else job.request)

    def take_seed(event: gr.EventData) -> int:
        return int(event.seed)

    def delete(confirmed: bool, watched: str | None, shown: int) -> list[Any]:
        job = pick(context.store, watched)
        if job is None or not confirmed:
            return [watched, "", *page.look(watched, shown)]
        try:
            context.store.delete(job.id)
        except InvalidRequest as error:
            return [watched, preflight.error_html(form.sentence(error)), *page.look(watched, shown)]
        return [None, "", *page.look(None, shown)]

    tab.tell_after(right.reuse.click(reuse, page.watched, [*tab.model_outputs, tab.notice], **_QUIET))
    right.status.take(take_seed, None, tab.controls["seed"], **_QUIET)
    right.delete.click(
        delete,
        [right.confirmed, page.watched, page.history.shown],
        [page.watched, tab.notice, *page.outputs],
        js=right.confirm_js,
        **_QUIET,
    )


def _connect_history(page: Page) -> None:
    context, past = page.context, page.history

    def choose(shown: int, event: gr.EventData) -> list[Any]:
        job_id = str(event.job)
        return [job_id, *page.look(job_id, shown)]

    def remove(watched: str | None, shown: int, event: gr.EventData) -> list[Any]:
        context.executor.cancel(str(event.job))
        return [watched, *page.look(watched, shown)]

    def show_more(watched: str | None, shown: int) -> list[Any]:
        shown += history.PAGE
        return [shown, *page.look(watched, shown)]

    state = [page.watched, past.shown]
    past.cards.choose(choose, past.shown, [page.watched, *page.outputs], **_QUIET)
    past.cards.remove(remove, state, [page.watched, *page.outputs], **_QUIET)
    past.more.click(show_more, state, [past.shown, *page.outputs], **_QUIET)
