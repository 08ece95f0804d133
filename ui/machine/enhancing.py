"""Settings: who writes prompts out. One component, drawn by the browser once it is in sight.

The key goes one way: it is told to the studio, and never to a page.
"""

from __future__ import annotations

import dataclasses
import json
from html import escape
from typing import Any
from urllib.parse import urlsplit

import gradio as gr

from ui.assets import read_scripts
from ui.context import Context
from ui.listening import QUIET
from ui.serving.access import is_loopback
from wan_core.prompts.enhancer_settings import EnhancerSettings
from wan_core.prompts.local_model import find_folder, offered
from wan_core.schema import EnhancementFailed, InvalidRequest

_FIELDS = ("kind", "local_model", "url", "endpoint_model", "seconds")

Answer = dict[str, Any]


def build(context: Context) -> gr.HTML:
    """The part of the Settings tab; it answers itself."""
    texts = context.texts.prompting
    constants = f"const texts = {json.dumps(dataclasses.asdict(texts))};\n"
    shown = gr.HTML(
        {},
        html_template=f'<h3>{escape(texts.writer)}</h3><p class="note">{escape(texts.writer_help)}</p>'
        '<form class="writer" onsubmit="return false"></form>',
        js_on_load=constants + read_scripts("enhancing.js"),
        apply_default_css=False,
        elem_id="settings-enhancer",
        elem_classes="heading",
    )

    def answer(event: gr.EventData) -> Any:
        asked = getattr(event, "asked", None)
        asked = asked if isinstance(asked, dict) else {}
        return gr.update(told=save(context, asked) if getattr(event, "door", "") == "save" else look(context))

    shown.ask(answer, None, shown, trigger_mode="multiple", **QUIET)
    return shown


def look(context: Context) -> Answer:
    """The settings, without the key, and the language models that there are."""
    enhancer = context.enhancer
    return {**enhancer.kept.current.shown, "models": offered(enhancer.hub_cache)}


def save(context: Context, asked: Answer) -> Answer:
    """Keep what was chosen; the answer has a ``note``, or an ``error`` and what is refused as it was."""
    values = {name: asked[name] for name in _FIELDS if name in asked}
    if asked.get("key") or asked.get("forget"):
        values["key"] = str(asked.get("key") or "")
    texts = context.texts
    try:
        settings = context.enhancer.kept.change(values)
        if settings.kind == "local":
            find_folder(settings.local_model, context.enhancer.hub_cache)
    except InvalidRequest as error:
        labels = {
            "url": texts.prompting.writer_url,
            "key": texts.prompting.writer_key,
            "seconds": texts.prompting.writer_seconds,
        }
        return {
            **look(context),
            "error": f"{labels.get(error.field, error.field)}: {texts.said(error.remedy)}",
        }
    except EnhancementFailed as error:  # it is kept: the model may come later
        return {**look(context), "error": texts.said(str(error))}
    except OSError as error:
        return {**look(context), "error": texts.said(str(error))}
    plain = texts.prompting.writer_plain if _is_open(settings) else ""
    return {**look(context), "note": f"{texts.prompting.writer_saved} {plain}".strip()}


def _is_open(settings: EnhancerSettings) -> bool:
    """Whether prompts leave this machine unencrypted."""
    parts = urlsplit(settings.url)
    return settings.kind == "endpoint" and parts.scheme == "http" and not is_loopback(parts.hostname or "")
