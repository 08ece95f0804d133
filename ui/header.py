"""The line at the top: what the engine is doing, how full its memory is, how long the queue is."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import gradio as gr

from ui import units
from ui.context import Context
from ui.serving.languages import CHOICE
from ui.strings import Texts
from wan_core.jobs.job import JobStatus, WorkerState, WorkerStatus


@dataclass(frozen=True)
class Header:
    """The components of the header; ``unload`` gets its listener from the studio."""

    line: gr.HTML
    unload: gr.Button


def build(texts: Texts) -> Header:
    """Lay the header out."""
    with gr.Row(elem_id="header"):
        line = gr.HTML(elem_id="header-line", apply_default_css=False)
        unload = gr.Button(
            texts.unload, size="sm", interactive=False, elem_id="unload", scale=0, min_width=88
        )
    return Header(line, unload)


def line_html(context: Context) -> str:
    """Name, engine state, memory and queue."""
    texts, status, counts = context.texts, context.store.worker_status(), context.store.counts()
    (state, label), detail = _state(status, texts), escape(_detail(status, texts), quote=True)
    return (
        '<div class="line"><div class="brand"><span class="mark" aria-hidden="true"></span>'
        f"{escape(texts.title)}</div>"
        f'<div class="chip {state}" title="{detail}" data-state="{state}">'
        f'<i class="dot"></i>{escape(label)}</div>'
        f"{_memory_html(status, texts)}"
        f'<div class="chip queue">{escape(_queue(counts, context))}</div>{_switch(texts)}</div>'
        f"{_banner(context)}"
    )


def _banner(context: Context) -> str:
    """Who else can reach the page, where anybody can."""
    words = {"login": context.texts.seen_by_login, "everybody": context.texts.seen_by_all}.get(
        context.reach, ""
    )
    return f'<p class="banner" role="note">{escape(words)}</p>' if words else ""


def _switch(texts: Texts) -> str:
    """The way to the page in the other language, see ``ui.serving.languages``."""
    language = texts.other_language
    return (
        f'<a class="language" href="/?{CHOICE}={language}" lang="{language}" hreflang="{language}">'
        f"{escape(texts.other_title)}</a>"
    )


def can_unload(context: Context) -> bool:
    """Whether anything is loaded that nobody is using."""
    status = context.store.worker_status()
    return status.state is WorkerState.IDLE and bool(status.components)


def _state(status: WorkerStatus, texts: Texts) -> tuple[str, str]:
    """(css class, words) of the engine's state."""
    if status.state is WorkerState.IDLE:
        return ("ready", texts.model_ready) if status.components else ("idle", texts.model_idle)
    words = {
        WorkerState.STOPPED: texts.model_absent,
        WorkerState.STARTING: texts.model_starting,
        WorkerState.LOADING: texts.model_loading,
        WorkerState.BUSY: texts.model_busy,
    }
    return str(status.state), words[status.state]


def _detail(status: WorkerStatus, texts: Texts) -> str:
    """Device and loaded parts, or why the engine stands still; for the pointer."""
    loaded = [f"{name} {units.in_bytes(size)}" for name, size in status.components.items()]
    return " · ".join(part for part in (status.device, *loaded, texts.said(status.message)) if part)


def _memory_html(status: WorkerStatus, texts: Texts) -> str:
    if not status.memory_total:
        return '<div class="memory"></div>'
    share = min(status.memory_used / status.memory_total, 1.0)
    words = texts.memory.format(
        used=units.in_bytes(status.memory_used), total=units.in_bytes(status.memory_total)
    )
    full = " full" if share > 0.9 else ""
    return (
        f'<div class="memory{full}" title="{escape(status.device, quote=True)}">'
        f'<div class="bar"><div style="width:{share:.1%}"></div></div><span>{escape(words)}</span></div>'
    )


def _queue(counts: dict[JobStatus, int], context: Context) -> str:
    texts, parts = context.texts, []
    if context.store.is_paused():
        parts.append(texts.history.is_paused)
    if counts[JobStatus.RUNNING]:
        parts.append(texts.queue_running)
    if counts[JobStatus.QUEUED]:
        parts.append(texts.queue_waiting.format(count=counts[JobStatus.QUEUED]))
    return " · ".join(parts) or texts.queue_empty
