"""The listeners of a page, as the gate sees them: what each takes, and whether a call has come as far as one.

What fails before is the sender's fault: Gradio turns values into what a listener takes, and calls a wrong
value an error of the server.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

import gradio as gr

from ui.serving.gate_answers import BEGUN
from ui.serving.gate_json import Called, Kinds
from wan_core.schema import InvalidRequest

log = logging.getLogger(__name__)

_SCALARS = frozenset({str, int, float, bool})


def listeners(page: gr.Blocks) -> dict[int, Called]:
    """What each listener of a page takes; those that run in the browser alone are none."""
    return {
        number: Called(tuple(map(_kinds, listener.inputs)), _reads_event(listener.fn))
        for number, listener in page.fns.items()
        if listener.fn is not None
    }


def watch(page: gr.Blocks) -> None:
    """Have a page note that a listener begins, and refuse in a sentence what one cannot be asked for."""
    call = page.call_function

    async def noted(*given: Any, **named: Any) -> Any:
        BEGUN.get([]).append(True)
        try:
            return await call(*given, **named)
        except InvalidRequest as error:
            raise gr.Error(str(error), print_exception=False) from error
        except KeyError as error:
            log.exception("A listener was asked for what is not on the page.")
            raise gr.Error(
                "There is no such choice on this page; reload it.", print_exception=False
            ) from error

    page.call_function = noted


def _kinds(part: Any) -> Kinds:
    """The types of the values that a part of the page sends, besides nothing at all; None is any."""
    if isinstance(part, gr.Textbox | gr.Checkbox):
        return _SCALARS
    if isinstance(part, gr.Number | gr.Slider):
        return frozenset({int, float})
    if isinstance(part, gr.Dropdown | gr.Radio):
        several = {list} if getattr(part, "multiselect", False) else set()
        return frozenset({str, *several, *(type(value) for _, value in part.choices or ())})
    first = part.default_value if isinstance(part, gr.BrowserState) else getattr(part, "value", None)
    return frozenset({type(first)}) if isinstance(first, list | dict) else None


def _reads_event(function: Callable[..., Any]) -> bool:
    hints = [str(parameter.annotation) for parameter in inspect.signature(function).parameters.values()]
    return any("EventData" in hint or "SelectData" in hint for hint in hints)
