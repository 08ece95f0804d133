"""From a result back into a form: its settings, its seed, its last frame, the video itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from ui.listening import QUIET, error_html, reporting
from ui.making import form, inputs
from ui.making.editing import editing_html
from ui.result.stage import is_picture
from ui.tabs.making_tab import MakingTab
from ui.tabs.plans import plan_of
from wan_core.catalog import ModelSpec, find_model
from wan_core.jobs.job import Job
from wan_core.media.exporting import last_frame
from wan_core.media.inputs import InputStore
from wan_core.schema import InvalidRequest, MediaError

if TYPE_CHECKING:
    from ui.studio import Page

_JOINED = (".mp4", ".webm", ".gif")
"""Results that what continues them can be joined to."""


def connect(page: Page) -> None:
    """Reuse settings, take the seed, and send to another tab."""
    _connect_reuse(page)
    _connect_send(page)

    def take_seed(event: gr.EventData) -> int:
        return int(event.seed)

    page.panel.view.take(take_seed, None, page.bench.controls["seed"], **QUIET)


def _connect_reuse(page: Page) -> None:
    """A job's settings into the form; a waiting one is changed by Generate then, see ``editing``."""
    store, right, texts, bench = page.context.store, page.panel, page.context.texts, page.bench

    def reuse(job_id: str, forms: dict[str, Any] | None, *arguments: Any) -> list[Any]:
        return fill(job_id, forms, arguments, editing=False)

    def edit(job_id: str, forms: dict[str, Any] | None, *arguments: Any) -> list[Any]:
        return fill(job_id, forms, arguments, editing=True)

    def pick(event: gr.EventData) -> str:
        return str(event.job)

    def fill(job_id: str, forms: dict[str, Any] | None, arguments: Sequence[Any], editing: bool) -> list[Any]:
        job = store.get(job_id)
        if job is None:
            return [gr.skip()] * len(outputs)
        request = job.request  # the result's own says what its media made of size and length
        if job.result and request.seed == -1:
            request = request.model_copy(update={"seed": job.result.request.seed})
        tab = bench.tabs.get(plan_of(request.task).key)
        if tab is None:
            return [*[gr.skip()] * (len(outputs) - 1), error_html(texts.no_tab.format(task=request.task))]
        updates = bench.restore(tab, request) | ({"form-notice": editing_html(texts)} if editing else {})
        left, filling = bench.left(forms, bench.read(arguments)), bench.fill(updates, goes=tab.key)
        return [tab.key, left, filling, job_id if editing else "", gr.Tabs(selected=tab.key), ""]

    outputs = _filled(page)
    given = [bench.forms, *bench.inputs]
    for listener, kept, handler in (
        (right.view.reuse, right.asked, reuse),
        (page.history.cards.edit, bench.editing, edit),
    ):
        bench.asleep_on(listener)
        picked = listener(pick, None, kept, **QUIET)
        event = picked.then(
            reporting(handler, outputs, right.notice, texts), [kept, *given], outputs, **QUIET
        )
        bench.filled_after(event)


def _connect_send(page: Page) -> None:
    """Put a result into another tab and go there."""
    right, bench, texts = page.panel, page.bench, page.context.texts

    def pick(event: gr.EventData) -> str:
        return json.dumps([str(event.job), str(event.to)])

    def send(asked: str | None, forms: dict[str, Any] | None, *arguments: Any) -> list[Any]:
        job_id, key = json.loads(asked or '["", ""]')
        job, tab = page.context.store.get(job_id), bench.tabs.get(key)
        if job is None or job.result is None or tab is None or key not in right.tabs:
            return [gr.skip()] * len(outputs)
        reading = bench.read(arguments)
        held = bench.held(tab, forms or {}, reading)
        try:
            given = _given(job, tab)
            spec = taker(tab, held["model"], given)
        except (InvalidRequest, MediaError) as error:
            return [*[gr.skip()] * (len(outputs) - 1), error_html(texts.said(str(error)))]
        if spec.id != held["model"]:  # else the rest of the form stays as it is
            held |= {**tab.default_values(spec), "mask_builder": "none", "model": spec.id}
        updates = bench.updates(tab, spec, {**held, **given, **_length(job, given, spec, held["fps"])})
        forms = bench.left(forms, reading)
        filling = bench.fill({**updates, "form-notice": ""}, goes=tab.key)
        return [tab.key, forms, filling, "", gr.Tabs(selected=tab.key), ""]

    outputs = _filled(page)
    bench.asleep_on(right.view.send)
    picked = right.view.send(pick, None, right.asked, **QUIET)
    given = [right.asked, bench.forms, *bench.inputs]
    event = picked.then(reporting(send, outputs, right.notice, texts), given, outputs, **QUIET)
    bench.filled_after(event)


def _filled(page: Page) -> list[gr.components.Component]:
    """What changes where a job goes into the form of some tab."""
    bench = page.bench
    return [bench.active, bench.forms, bench.filling, bench.editing, page.strip, page.panel.notice]


def _length(job: Job, given: dict[str, Any], spec: ModelSpec, fps: float | None) -> dict[str, int]:
    """The length of the clip that a video which is sent is made into."""
    made = job.result.request
    if "video" not in given or not (made.num_frames and made.fps):
        return {}
    seconds = made.num_frames / made.fps
    return {"num_frames": form.frames_for(seconds, fps or spec.defaults.fps, spec)}


def _given(job: Job, tab: MakingTab) -> dict[str, Any]:
    """The values of the tab's controls that a result brings along.

    Raises:
        MediaError: its file cannot be read.
    """
    result, prompt = job.result.video, {"prompt": job.made.prompt}
    store = InputStore(tab.context.settings.inputs_dir)
    if tab.key != "i2v":
        return {**prompt, "video": str(store.path(store.keep(result)))}
    if is_picture(result):
        return {**prompt, "image": str(store.path(store.keep(result))), "continues": "", "join": True}
    image = store.path(store.keep_picture(last_frame(result)))
    before = store.keep(result) if result.suffix in _JOINED else ""
    return {**prompt, "image": str(image), "continues": before, "join": True}


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
