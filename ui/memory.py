"""What a browser remembers: every page starts from the settings that were used last.

They arrive when the page can already be typed into. So they come as text, and the browser itself puts them
into the form, without what a person has changed meanwhile; only then does Generate wake.
"""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

from ui import form
from ui.context import Context
from ui.listening import QUIET
from ui.tabs import text_to_video
from wan_core.schema import GenerationRequest, InvalidRequest

_RECALL_JS = "(updates) => window.wanStudio.recall(JSON.parse(updates))"
_WAKE_JS = "() => ({ __type__: 'update', interactive: true })"


def connect(blocks: gr.Blocks, tab: text_to_video.TextToVideo, context: Context) -> gr.BrowserState:
    """Fill the form once the page is there; returns what to put the next settings into, see ``settings``."""
    saved = gr.BrowserState(None, storage_key="wan-studio", secret="wan-studio")
    outputs = [*tab.model_outputs, tab.notice]
    names = [*tab.controls, *(part.elem_id for part in outputs[len(tab.controls) :])]
    nothing = dict.fromkeys(names, gr.skip())
    recalled = gr.Textbox(json.dumps(nothing), visible="hidden", elem_id="recalled")

    def recall(values: dict[str, Any] | None) -> str:
        updates = tab.restore(_first_request(values, context))
        return json.dumps({name: _in_browser(update) for name, update in zip(names, updates, strict=True)})

    told = blocks.load(recall, saved, recalled, **QUIET)
    filled = told.then(None, recalled, outputs, js=_RECALL_JS, **QUIET)
    tab.refit_after(filled.then(None, None, tab.generate, js=_WAKE_JS, **QUIET))
    return saved


def settings(values: form.Values) -> Any:
    """What is kept of a form that has just been used; nothing new of one that makes no request."""
    try:
        return form.to_request(text_to_video.TASK, values).model_dump()
    except InvalidRequest:
        return gr.skip()


def _first_request(values: dict[str, Any] | None, context: Context) -> GenerationRequest:
    """The request that a new page shows, given what its browser has kept."""
    wanted = context.model
    try:
        request = GenerationRequest.parse(values or {})
        form.values_of(request)
    except InvalidRequest:  # saved by another version
        return GenerationRequest(model=context.first_model)
    if wanted not in (None, request.model):
        return GenerationRequest(model=wanted, prompt=request.prompt)
    return request


def _in_browser(update: Any) -> dict[str, Any]:
    """An update as the browser takes it from its own scripts: choices are pairs of title and value."""
    if not isinstance(update, dict):
        return gr.update(value=update)
    if "choices" not in update:
        return update
    pairs = [choice if isinstance(choice, tuple) else (str(choice), choice) for choice in update["choices"]]
    return {**update, "choices": pairs}
