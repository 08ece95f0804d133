"""What a browser remembers: every tab starts from the settings that were used last.

They arrive when the page can already be typed into. So they come as text, and the browser itself puts them
into the form, without what a person has changed meanwhile; only then does Generate wake.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from ui import form
from ui.context import Context
from ui.links import link
from ui.listening import QUIET
from ui.tabs.making_tab import MakingTab, narrow_after
from ui.uploads import in_browser
from wan_core.schema import GenerationRequest, InvalidRequest

_RECALL_JS = "(updates) => window.wanStudio.recall(JSON.parse(updates))"
_WAKE_JS = "() => Array(%d).fill({ __type__: 'update', interactive: true })"


def connect(blocks: gr.Blocks, tabs: Sequence[MakingTab], context: Context) -> gr.BrowserState:
    """Fill the forms once the page is there; returns what to put the next settings into, see ``settings``.

    It holds the request used last of each tab.
    """
    saved = gr.BrowserState({}, storage_key="wan-studio-tabs", secret="wan-studio")
    nothing = {tab.key: dict.fromkeys(tab.outputs, gr.skip()) for tab in tabs}
    recalled = gr.Textbox(json.dumps(nothing), visible="hidden", elem_id="recalled")

    def recall(kept: dict[str, Any] | None) -> str:
        return json.dumps({tab.key: _recalled(tab, (kept or {}).get(tab.key), context) for tab in tabs})

    outputs = [part for tab in tabs for part in tab.outputs.values()]
    told = blocks.load(recall, saved, recalled, **QUIET)
    event = narrow_after(told.then(None, recalled, outputs, js=_RECALL_JS, **QUIET), tabs)
    buttons = [tab.parts["generate"] for tab in tabs]
    woken = event.then(None, None, buttons, js=_WAKE_JS % len(buttons), **QUIET)
    woken.then(None, None, None, js="() => window.wanStudio.tellAgain()", **QUIET)
    return saved


def settings(kept: dict[str, Any] | None, tab: MakingTab, request: GenerationRequest) -> dict[str, Any]:
    """What is kept once the tab has made a request."""
    return {**(kept or {}), tab.key: request.model_dump(mode="json")}


def _recalled(tab: MakingTab, values: dict[str, Any] | None, context: Context) -> dict[str, Any]:
    """The updates of all of the tab's outputs by name, as the browser takes them."""
    request = _first_request(tab, values, context)
    updates = {} if request is None else tab.restore(request)  # the tab is built as it is to be found
    return {name: in_browser(updates.get(name, gr.skip()), part, link) for name, part in tab.outputs.items()}


def _first_request(
    tab: MakingTab, values: dict[str, Any] | None, context: Context
) -> GenerationRequest | None:
    """The request that a tab of a new page shows, given what its browser has kept; None: its own."""
    models = [spec.id for spec in tab.plan.models]
    try:
        request = GenerationRequest.parse(values or {})
        form.values_of(request)
    except InvalidRequest:  # saved by another version
        return None
    if not values or request.model not in models:
        return None
    if context.model in models and context.model != request.model:
        return GenerationRequest(model=context.model, prompt=request.prompt)
    return request
