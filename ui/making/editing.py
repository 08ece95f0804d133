"""Changing a job that waits: its request fills the form, and Generate puts the form's in its place."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ui.context import Context
from ui.strings import Texts
from wan_core.schema import GenerationRequest


def editing_html(texts: Texts) -> str:
    """What the notice of a form says meanwhile; ``assets/js/studio.js`` knows its button."""
    words = texts.history
    return (
        f'<p class="note" role="status">{escape(words.editing)} '
        f'<button type="button" class="leave-editing">{escape(words.leave)}</button></p>'
    )


def submit(context: Context, requests: Sequence[GenerationRequest], editing: str = "") -> str:
    """Queue requests, the first one in place of the waiting job ``editing`` if there is one.

    Returns what to say about it; empty where there is nothing.

    Raises:
        InvalidRequest: one of them does not fit its model.
    """
    words, waiting, rest = context.texts.history, len(context.store.queue()), list(requests)
    replaced = bool(editing and rest) and context.store.replace(editing, rest[0])
    if editing and not replaced:
        return words.started
    for request in rest[replaced:]:
        context.executor.submit(request)
    if replaced:
        return words.saved
    return context.texts.queued_notice.format(count=waiting) if waiting else ""
