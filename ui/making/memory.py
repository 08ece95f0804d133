"""What is remembered: every tab starts from the settings that this browser used last.

A browser that knows none starts from what was used last on this machine, if its owner is the one who looks.
What a link says goes before both. They arrive when the page can already be typed into, see ``Bench.fill``;
only then does Generate wake.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.context import Context
from ui.listening import QUIET, note_html
from ui.making import choices, form
from ui.making.bench import Bench, Reading, Updates
from ui.recipes.deep_links import SEARCH_JS, Link, ignored_words, read_link
from ui.tabs.making_tab import MakingTab
from wan_core.manager.kept_forms import keep_form, kept_forms
from wan_core.schema import GenerationRequest, InvalidRequest

_CHOSEN = "chosen"

Remembered = dict[str, dict[str, Any]]
"""Key of a tab -> the request that it made last, and under ``_CHOSEN`` what of the form no request holds."""


def connect(blocks: gr.Blocks, bench: Bench, strip: gr.Tabs) -> gr.BrowserState:
    """Fill the form once the page is there; returns what to put the next settings into, see ``settings``."""
    saved = gr.BrowserState({}, storage_key="wan-studio-tabs", secret="wan-studio")

    def recall(kept: Remembered | None, active: str, search: str) -> list[Any]:
        link = read_link(search, bench.tabs)
        known = {**(kept_forms(context.settings) if context.owned else {}), **(kept or {})}
        forms, updates = _recalled(bench, known, link, active)
        shown = link.tab or active
        filling = bench.fill(updates, kept="" if link.request else "all", goes=link.tab or "")
        return [shown, forms, filling, gr.Tabs(selected=shown) if link.tab else gr.skip()]

    context, outputs = bench.context, [bench.active, bench.forms, bench.filling, strip]
    given = [saved, bench.active, bench.filling]  # the last one makes room for the address
    recalled = blocks.load(recall, given, outputs, js=SEARCH_JS, **QUIET)
    bench.filled_after(recalled.then(None, None, None, js="() => window.wanStudio.begin()", **QUIET))
    return saved


def settings(kept: Remembered | None, reading: Reading, request: GenerationRequest) -> Remembered:
    """What is kept once a tab has made a request, in the browser; also on the disk of its owner."""
    tab, more = reading.tab, {_CHOSEN: _chosen(reading.shared)}
    if tab.context.owned:
        keep_form(tab.context.settings, tab.key, request, **more)
    return {**(kept or {}), tab.key: {**request.model_dump(mode="json"), **more}}


def _chosen(values: Any) -> dict[str, Any]:
    """What of a form's values no request holds: drafts, how many videos, and prompts by the line.

    They may come from a browser, so what makes no sense is left out.
    """
    values = values if isinstance(values, dict) else {}
    videos, found = values.get("videos"), {}
    if values.get("quality") == choices.DRAFTS:
        found["quality"] = choices.DRAFTS
    if isinstance(videos, int | float) and 1 <= videos <= form.MAX_VIDEOS:
        found["videos"] = int(videos)
    if isinstance(values.get("lines"), bool):
        found["lines"] = values["lines"]
    return found


def _recalled(bench: Bench, kept: Remembered, link: Link, active: str) -> tuple[dict[str, Any], Updates]:
    """What the form held in each tab, or a link says, and the updates that show it in all of them."""
    forms, updates, active = {}, {}, link.tab or active
    for key, tab in bench.tabs.items():
        request = _first_request(tab, kept.get(key), bench.context)
        chosen = _chosen(kept[key].get(_CHOSEN)) if request else {}
        if key == link.tab and link.request is not None:
            request, chosen = link.request, {}
        if request is None and key != active:  # built as it is to be found
            continue
        request = request or GenerationRequest(model=tab.first_model.id)
        values, _ = tab.values_of(request)
        values = {**values, **chosen}
        forms[key] = {name: values[name] for name in bench.controls if name in values}
        mine = ("form-", f"{key}-") if key == active else f"{key}-"
        shown = bench.restore(tab, request)
        for name in chosen:
            if (place := f"form-{name}") in shown:
                shown[place] = {**shown[place], "value": chosen[name]}
        updates.update({name: update for name, update in shown.items() if name.startswith(mine)})
    if words := ignored_words(link, bench.context.texts.recipes.link_ignored):
        updates["form-notice"] = f"{updates.get('form-notice') or ''}{note_html(words)}"
    return forms, updates


def _first_request(
    tab: MakingTab, values: dict[str, Any] | None, context: Context
) -> GenerationRequest | None:
    """The request that a tab of a new page shows, given what its browser has kept; None: its own."""
    models = [spec.id for spec in tab.plan.models]
    try:
        told = {name: value for name, value in (values or {}).items() if name != _CHOSEN}
        request = GenerationRequest.parse(told)
        form.values_of(request)
    except InvalidRequest:  # saved by another version
        return None
    if not values or request.model not in models:
        return None
    if context.model in models and context.model != request.model:
        return GenerationRequest(model=context.model, prompt=request.prompt)
    return request
