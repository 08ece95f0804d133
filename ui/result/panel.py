"""The right-hand panel: live preview, progress, the finished video and what can be done with it.

One component that the browser draws: what has not changed is left alone, so that a video plays on, a bar
moves on and a menu stays open while the page looks again every second.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from ui.assets import read_scripts
from ui.context import Context
from ui.links import link
from ui.listening import QUIET, error_html
from ui.result import comparing, drafts, exports
from ui.result.panel_doors import PanelDoors
from ui.result.stage import is_picture, stage_of
from ui.result.status import status_html
from ui.strings import Texts
from wan_core.jobs.job import UNFINISHED, Job
from wan_core.jobs.past import UNDO_SECONDS
from wan_core.schema.output import SUFFIXES

_TAKING = ("i2v", "v2v", "control")
"""Tabs that a result can be sent to; the first by a button of its own."""


@dataclass(frozen=True)
class Panel:
    """``view`` tells what a person wants of the job shown; ``asked`` is for handlers that need the form, too.

    Its events: ``choose`` (a job, or "" for the latest), ``take`` (a seed), ``reuse`` (a job), and ``send``
    (a job and the tab to send it to). All else it asks of its ``PanelDoors``.
    """

    view: gr.HTML
    notice: gr.HTML
    asked: gr.Textbox
    tabs: tuple[str, ...]

    @property
    def outputs(self) -> list[gr.components.Component]:
        return [self.view]


def build(context: Context, tabs: Sequence[str]) -> Panel:
    """Lay the panel out inside the current column; ``tabs`` are the keys of those that there are."""
    texts, doors = context.texts, PanelDoors(context)
    words = {**dataclasses.asdict(texts.panel), "undo_seconds": UNDO_SECONDS}
    view = gr.HTML(
        {},
        html_template=_page_html(texts),
        js_on_load=f"const texts = {json.dumps(words)};\n"
        + read_scripts("asking.js", "panel.js", "compare.js"),
        apply_default_css=False,
        elem_id="result",
    )

    def answer(event: gr.EventData) -> Any:
        return gr.update(told={**doors.open(event.door, event.asked), "number": event.number})

    view.ask(answer, None, view, trigger_mode="multiple", **QUIET)
    notice = gr.HTML(
        error_html(_found_at_start(context)),
        elem_id="panel-notice",
        elem_classes="notice",
        apply_default_css=False,
    )
    asked = gr.Textbox(visible="hidden", elem_id="asked")
    return Panel(view, notice, asked, tuple(key for key in _TAKING if key in tabs))


def _found_at_start(context: Context) -> str:
    """What was wrong with the home's files when the studio started; for its owner alone."""
    if not context.owned:
        return ""
    notices = (context.kept.notice, context.store.notice)
    return " ".join(context.texts.said(notice) for notice in notices if notice)


def updates(job: Job | None, context: Context, tabs: Sequence[str]) -> list[Any]:
    """The values of ``Panel.outputs`` that show a job; ``tabs`` are the panel's."""
    together = context.store.siblings(job) if job else []
    return [
        {
            "stage": stage_of(job, together, context.texts),
            "status": status_html(job, context),
            "actions": actions_html(job, context, tabs),
        }
    ]


def _page_html(texts: Texts) -> str:
    """What stays, and places for what comes and goes."""
    words = texts.panel
    return (
        '<div id="stage"></div><div id="status" class="about"></div><div id="actions"></div>'
        '<p class="alert complaint" role="alert" hidden></p>'
        f'<div class="undo" role="status" hidden><span>{escape(words.deleted)}</span>'
        f'<button type="button" data-does="undo">{escape(words.undo)}</button>'
        f'<button type="button" class="dismiss" data-does="dismiss" aria-label="{escape(words.close)}">✕'
        "</button></div>"
        f'<div class="picking" role="status" hidden><span>{escape(words.pick_other)}</span>'
        f'<button type="button" data-does="leave-picking">{escape(words.cancel)}</button></div>'
        f"{comparing.dialog_html(texts)}"
    )


def actions_html(job: Job | None, context: Context, tabs: Sequence[str]) -> str:
    """The bar below: what can be done with the job shown; what cannot be done yet is grey."""
    if job is None:
        return ""
    texts, words = context.texts, context.texts.panel
    result = job.result.video if job.result and job.result.video.exists() else None
    picture = result is not None and is_picture(result)
    parts = [_first(job, texts)]
    if "i2v" in tabs:
        name = texts.send_picture if picture else texts.send_last_frame
        parts.append(_button("send-i2v", "send", name, result is not None, ' data-to="i2v"'))
    parts.append(_button("reuse", "reuse", texts.reuse))
    others = [key for key in tabs if key != "i2v"]
    moves = result is not None and not picture
    items = [_button(f"send-{key}", "send", texts.tabs[key], moves, f' data-to="{key}"') for key in others]
    if items:
        parts.append(_menu("send", words.send, items, moves))
    parts.append(_button("compare", "compare", words.compare, result is not None))
    parts.append(_menu("download", texts.download, _downloads(result, picture, texts), result is not None))
    parts.append(_button("delete", "delete", texts.delete, job.status.is_final))
    return f'<div class="acts" data-job="{job.id}">{"".join(parts)}</div>'


def _first(job: Job, texts: Texts) -> str:
    """What helps a job that has no video, or makes more of a draft."""
    if job.remedy is not None:
        return _button("again", "again", texts.remedies[job.remedy], more=' class="primary"')
    if job.status in UNFINISHED:
        return _button("again", "again", texts.history.retry)
    final = drafts.final_of(job)
    if final is None:
        return ""
    words = texts.panel.final.format(steps=final.num_inference_steps)
    return _button("final", "final", words, more=f' class="primary" title="{escape(texts.panel.final_help)}"')


def _downloads(result: Path | None, picture: bool, texts: Texts) -> list[str]:
    """The file as it is, and the formats that it can be exported to."""
    words = texts.panel
    if result is None:
        return []
    items = []
    if result.is_file():
        name = f"{words.as_made} ({result.suffix.lstrip('.').upper()})"
        address = f'href="{escape(link(result) or "")}" download="{escape(result.name)}"'
        items.append(f'<a id="download-file" {address}>{escape(name)}</a>')
    formats = () if picture else exports.FORMATS
    offered = [name for name in formats if SUFFIXES.get(name) != result.suffix]
    return items + [
        _button(f"download-{name}", "export", words.formats[name], more=f' data-format="{name}"')
        for name in offered
    ]


def _button(name: str, does: str, words: str, enabled: bool = True, more: str = "") -> str:
    off = "" if enabled else " disabled"
    return f'<button type="button" id="{name}" data-does="{does}"{more}{off}>{escape(words)}</button>'


def _menu(name: str, words: str, items: Sequence[str], enabled: bool) -> str:
    off = "" if enabled else " disabled"
    return (
        f'<span class="menu"><button type="button" id="{name}" data-does="menu" aria-expanded="false"{off}>'
        f'{escape(words)} <span aria-hidden="true">▾</span></button>'
        f'<span class="items" hidden>{"".join(items)}</span></span>'
    )
