"""What Gradio does at every call, or all the time, and nothing here needs, left out."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import gradio as gr

_SECONDS_BETWEEN_LOOKS = 0.01
"""Of a queue that only programs use, through ``gradio_client``; else it looks a thousand times a second."""


def lighten(pages: Iterable[gr.Blocks]) -> None:
    """Make pages that are about to be served cost less, when they are called and when they are not.

    The queue sums up all its calls after each of them, for a dashboard that is off; and matplotlib, of
    which no page shows anything, is looked for in every folder twice a call where it is not installed.
    """
    for page in pages:
        queue = page._queue
        queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize
        queue.ANALYTICS_MAX_EVENTS = 1
        queue.sleep_when_free = _SECONDS_BETWEEN_LOOKS
        queue.progress_update_sleep_when_free = 1.0
    sys.modules.setdefault("matplotlib", None)
