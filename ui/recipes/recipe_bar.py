"""Below the form: a result or JSON file back into it, and what it holds as a command, Python or a link."""

from __future__ import annotations

import dataclasses
import json
import time
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from ui.assets import read_scripts
from ui.listening import QUIET, error_html, reporting
from ui.making import making_jobs
from ui.making.bench import Bench
from ui.making.form import sentence
from ui.making.uploads import uploaded
from ui.recipes.recipe_words import written
from ui.serving.limits import MAX_UPLOAD
from ui.strings import Texts
from ui.tabs.making_tab import MakingTab
from ui.tabs.plans import plan_of
from wan_core.catalog import find_model, validate
from wan_core.manager.restoring import Restored, restore
from wan_core.schema import GenerationRequest, InvalidRequest, MediaError

if TYPE_CHECKING:
    from ui.studio import Page


def build(texts: Texts) -> gr.HTML:
    """The bar. It tells ``take`` (the path of an upload) and ``copy`` (a kind that ``written`` knows)."""
    words = texts.recipes
    constants = f"const texts = {json.dumps(dataclasses.asdict(words))}, most = {MAX_UPLOAD};\n"
    copies = "".join(
        f'<button type="button" data-copies="{kind}" title="{escape(more)}">{escape(name)}</button>'
        for kind, name, more in (
            ("cli", words.copy_cli, words.copy_cli_help),
            ("python", words.copy_python, words.copy_python_help),
            ("link", words.copy_link, words.copy_link_help),
        )
    )
    return gr.HTML(
        html_template=(
            '<div class="recipes"><button type="button" data-does="open" '
            f'title="{escape(words.open_help)}">{escape(words.open)}</button>{copies}'
            f'<input type="file" hidden aria-label="{escape(words.open)}">'
            '<p class="said note" role="status"></p>'
            f'<div class="veil" hidden>{escape(words.drop)}</div><dialog><p class="note">'
            f"{escape(words.copy_by_hand)}</p><textarea readonly></textarea>"
            f'<form method="dialog"><button>{escape(words.close)}</button></form></dialog></div>'
        ),
        js_on_load=constants + read_scripts("recipes.js"),
        apply_default_css=False,
        elem_id="form-recipes",
    )


def connect(page: Page) -> None:
    """Handlers that are told something cannot have the form: what they are told goes by a hidden text."""
    bar, asked = page.bench.parts["recipes"], page.panel.asked
    bench, context = page.bench, page.context
    drawings = making_jobs.drawings_of(bench)

    def pick_path(event: gr.EventData) -> str:
        return str(event.uploaded)

    def pick_kind(event: gr.EventData) -> str:
        return str(event.kind)

    def take(path: str, forms: dict[str, Any] | None, *arguments: Any) -> list[Any]:
        reading = bench.read(arguments)
        try:
            restored = restore(uploaded(path), context.settings, context.weights)
            tab, request = _placed(bench, restored.request)
            values, complaints = tab.values_of(request)
        except (MediaError, InvalidRequest) as error:
            words = error_html(context.texts.said(str(error)))
            return [gr.skip(), gr.skip(), gr.skip(), gr.skip(), gr.Tabs(selected=reading.tab.key), words]
        updates = bench.updates(tab, find_model(request.model), values)
        updates["form-notice"] = opened_html(Path(path).name, restored, complaints, context.texts)
        left, filling = bench.left(forms, reading), bench.fill(updates, goes=tab.key)
        return [tab.key, left, filling, "", gr.Tabs(selected=tab.key), gr.skip()]

    def copy(kind: str, *arguments: Any) -> Any:
        count = len(bench.inputs)
        reading, drawn = bench.read(arguments[:count]), dict(zip(drawings, arguments[count:], strict=True))
        try:
            request = making_jobs.request_of(bench, reading, drawn.get(reading.tab.key))
            validate(request)
        except InvalidRequest as error:
            return gr.update(told={"error": sentence(error, context.texts), "at": time.time()})
        except (MediaError, OSError) as error:
            return gr.update(told={"error": context.texts.said(str(error)), "at": time.time()})
        return gr.update(told={**written(kind, request, context), "at": time.time()})

    outputs = [bench.active, bench.forms, bench.filling, bench.editing, page.strip, bench.notice]
    bench.asleep_on(bar.take)
    taken = bar.take(pick_path, None, asked, **QUIET).then(
        reporting(take, outputs, bench.notice, context.texts),
        [asked, bench.forms, *bench.inputs],
        outputs,
        **QUIET,
    )
    bench.filled_after(taken)
    wanted = bar.copy(pick_kind, None, asked, **QUIET)
    wanted.then(copy, [asked, *bench.inputs, *drawings.values()], bar, **QUIET)


def opened_html(name: str, restored: Restored, complaints: list[str], texts: Texts) -> str:
    """What was taken over, and calmly, what is not on this machine."""
    words = texts.recipes
    missing = "".join(f"<li>{escape(texts.said(each))}</li>" for each in restored.missing)
    listed = f"<p>{escape(words.missing)}</p><ul>{missing}</ul>" if missing else ""
    more = [texts.said(each) for each in (*restored.notes, *complaints)]
    said = " ".join([words.opened.format(name=name[:80]), *more])
    return f'<div class="note opened" role="status"><p>{escape(said)}</p>{listed}</div>'


def _placed(bench: Bench, request: GenerationRequest) -> tuple[MakingTab, GenerationRequest]:
    """The tab that makes a request, whose task becomes one that its model does.

    Raises:
        InvalidRequest: no tab here does.
    """
    spec = find_model(request.model)
    if request.task not in spec.tasks:
        request = request.model_copy(update={"task": spec.tasks[0]})
    tab = bench.tabs.get(plan_of(request.task).key)
    if tab is None:
        raise InvalidRequest("task", f"{request.task!r} is done by no model here", "Choose another file.")
    return tab, request
