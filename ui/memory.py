"""What a browser remembers: every tab starts from the settings that were used last.

They arrive when the page can already be typed into, see ``Bench.fill``; only then does Generate wake.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui import form
from ui.bench import Bench, Updates
from ui.context import Context
from ui.listening import QUIET
from ui.tabs.making_tab import MakingTab
from wan_core.schema import GenerationRequest, InvalidRequest

Remembered = dict[str, dict[str, Any]]
"""Key of a tab -> the request that it made last."""


def connect(blocks: gr.Blocks, bench: Bench) -> gr.BrowserState:
    """Fill the form once the page is there; returns what to put the next settings into, see ``settings``."""
    saved = gr.BrowserState({}, storage_key="wan-studio-tabs", secret="wan-studio")

    def recall(kept: Remembered | None, active: str) -> list[Any]:
        forms, updates = _recalled(bench, kept or {}, active)
        return [forms, bench.fill(updates, kept="all")]

    outputs = [bench.forms, bench.filling]
    bench.filled_after(blocks.load(recall, [saved, bench.active], outputs, **QUIET))
    return saved


def settings(kept: Remembered | None, tab: MakingTab, request: GenerationRequest) -> Remembered:
    """What is kept once the tab has made a request."""
    return {**(kept or {}), tab.key: request.model_dump(mode="json")}


def _recalled(bench: Bench, kept: Remembered, active: str) -> tuple[dict[str, Any], Updates]:
    """What the form held in each tab, and the updates that show it in all of them."""
    forms, updates = {}, {}
    for key, tab in bench.tabs.items():
        request = _first_request(tab, kept.get(key), bench.context)
        if request is None and key != active:  # built as it is to be found
            continue
        request = request or GenerationRequest(model=tab.first_model.id)
        values, _ = tab.values_of(request)
        forms[key] = {name: values[name] for name in bench.controls if name in values}
        mine = ("form-", f"{key}-") if key == active else f"{key}-"
        shown = bench.restore(tab, request)
        updates.update({name: update for name, update in shown.items() if name.startswith(mine)})
    return forms, updates


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
