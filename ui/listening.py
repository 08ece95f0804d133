"""How the page listens: quietly, and with one sentence where the store or a file cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from html import escape
from typing import Any

import gradio as gr
from gradio.components import Component

from ui.strings import Texts
from wan_core.schema import StoreError

QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""For every listener: all of them are quick, so they pass the queue by, and none is an API endpoint."""

Handler = Callable[..., list[Any]]


def error_html(words: str) -> str:
    """One sentence about what to change."""
    return f'<p class="alert" role="alert">{escape(words)}</p>' if words else ""


def note_html(words: str) -> str:
    """One sentence that is no complaint."""
    return f'<p class="note" role="status">{escape(words)}</p>' if words else ""


def reporting(handler: Handler, outputs: Sequence[Component], notice: Component, texts: Texts) -> Handler:
    """The handler; where the disk fails it, ``notice`` says so in a sentence and the other outputs stay."""

    @wraps(handler)
    def report(*arguments: Any) -> list[Any]:
        try:
            return handler(*arguments)
        except (StoreError, OSError) as error:
            words = error_html(texts.said(str(error)))
            return [words if output is notice else gr.skip() for output in outputs]

    return report
