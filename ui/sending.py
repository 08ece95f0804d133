"""From a result back into a form: its settings, its seed, its last frame, the video itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from ui import form, inputs, panel
from ui.editing import editing_html, hold
from ui.listening import QUIET, error_html, reporting
from ui.tabs.making_tab import MakingTab, narrow_after
from ui.tabs.plans import plan_of
from wan_core.catalog import ModelSpec, find_model
from wan_core.jobs.job import Job
from wan_core.media.inputs import InputStore
from wan_core.media.read import read_last_frames
from wan_core.schema import InvalidRequest, MediaError

if TYPE_CHECKING:
    from ui.studio import Page


def connect(page: Page) -> None:
    """Reuse settings, take the seed, and send to another tab."""
    _connect_reuse(page)
    for tab in page.tabs:
        if tab.key in page.panel.send:
            _connect_send(page, tab)


def _connect_reuse(page: Page) -> None:
    store, right, texts = page.context.store, page.panel, page.context.texts
    outputs = [part for tab in page.tabs for part in tab.outputs.values()]

    def reuse(job_id: str, editing: bool = False) -> list[Any]:
        job = store.get(job_id)
        if job is None:
            return [gr.skip()] * len(everything)
        request = job.request  # the result's own says what its media made of size and length
        if job.result and request.seed == -1:
            request = request.model_copy(update={"seed": job.result.request.seed})
        key = plan_of(request.task).key
        if key not in [tab.key for tab in page.tabs]:
            complaint = error_html(texts.no_tab.format(task=request.task))
            return [*[gr.skip()] * (len(everything) - 1), complaint]
        restored = next(tab for tab in page.tabs if tab.key == key).restore(request)
        if editing:
            restored["notice"] = editing_html(texts)
        updates = [update for tab in page.tabs for update in tab.in_order(restored if tab.key == key else {})]
        return [*updates, hold(key, job_id) if editing else "", gr.Tabs(selected=key), ""]

    def edit(event: gr.EventData) -> list[Any]:
        return reuse(str(event.job), editing=True)

    everything = [*outputs, page.editing, page.strip, right.notice]
    _refit(
        page.tabs,
        right.reuse.click(reporting(reuse, everything, right.notice), page.showing, everything, **QUIET),
    )
    _refit(
        page.tabs,
        page.history.cards.edit(reporting(edit, everything, right.notice), None, everything, **QUIET),
    )

    def take_seed(event: gr.EventData) -> list[int]:
        return [int(event.seed)] * len(page.tabs)

    seeds = [tab.controls["seed"] for tab in page.tabs]
    right.status.take(take_seed, None, seeds, **QUIET)


def _connect_send(page: Page, tab: MakingTab) -> None:
    """Put the result shown into ``tab`` and go there."""
    right = page.panel
    outputs = [*tab.outputs.values(), page.strip, right.notice]

    def send(showing: str, model: str, fps: float | None) -> list[Any]:
        job = page.context.store.get(showing)
        if job is None or job.result is None:
            return [gr.skip()] * len(outputs)
        try:
            values = _given(job, tab)
            spec = taker(tab, model, values)
        except (InvalidRequest, MediaError) as error:
            return [*[gr.skip()] * (len(outputs) - 1), error_html(str(error))]
        made = job.result.request
        if "video" in values and made.num_frames and made.fps:
            seconds = made.num_frames / made.fps
            values["num_frames"] = form.frames_for(seconds, fps or spec.defaults.fps, spec)
        if spec.id == model:  # the rest of the form stays as it is
            updates = {name: gr.update(value=value) for name, value in values.items()}
            joins = bool(values.get("continues")) and "continues" in tab.plan.taken(spec)
            updates["join"] = gr.update(value=True, visible=joins)
        else:
            values = {**tab.default_values(spec), "mask_builder": "none", **values, "model": spec.id}
            updates = tab.model_updates(spec, values)
        return [*tab.in_order({**updates, "notice": ""}), gr.Tabs(selected=tab.key), ""]

    event = right.send[tab.key].click(
        reporting(send, outputs, right.notice),
        [page.showing, tab.controls["model"], tab.controls["fps"]],
        outputs,
        **QUIET,
    )
    _refit([tab], event)


def _refit(tabs: Sequence[MakingTab], event: Any) -> None:
    fitted = narrow_after(event, tabs)
    fitted.then(None, None, None, js="() => window.wanStudio.tellAgain()", **QUIET)


def _given(job: Job, tab: MakingTab) -> dict[str, Any]:
    """The values of the tab's controls that a result brings along.

    Raises:
        MediaError: its file cannot be read.
    """
    result, prompt = job.result.video, {"prompt": job.request.prompt}
    store = InputStore(tab.context.settings.inputs_dir)
    if tab.key != "i2v":
        return {**prompt, "video": str(store.path(store.keep(result)))}
    if panel.is_picture(result):
        return {**prompt, "image": str(store.path(store.keep(result))), "continues": "", "join": True}
    image = store.path(store.keep_picture(read_last_frames(result, 1).frames[-1]))
    return {**prompt, "image": str(image), "continues": store.keep(result), "join": True}


def taker(tab: MakingTab, model: str, values: dict[str, Any]) -> ModelSpec:
    """The tab's model that takes what is sent: the one chosen if it does, else the first that does.

    Raises:
        InvalidRequest: the model chosen is not known any more.
    """
    needed = {name for name in values if name in inputs.FILES}
    takers = [spec for spec in tab.plan.models if needed <= tab.plan.taken(spec)]
    chosen = find_model(model)
    if chosen in takers or not takers:
        return chosen
    return next((spec for spec in takers if tab.context.has(spec)), takers[0])
