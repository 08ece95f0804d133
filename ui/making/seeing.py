"""What the model will see of what is given, with what chooses it: a time line, and frames that crop.

One component of the browser. The studio tells ``told`` and ``shown``, HTML, ``clip``, what the time line is
drawn from, and ``views``, what frames are drawn on. The browser holds ``crops`` in it, a control of the form,
and nothing else: what it is told is not sent back with every event.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr

from ui.assets import read_scripts
from ui.context import Context
from ui.making import cropping, framing, preflight, timeline
from ui.making.form import Values
from ui.strings import Texts
from ui.tabs.plans import TabPlan
from wan_core.catalog import ModelSpec
from wan_core.schema import InvalidRequest, MediaError


def build(key: str, texts: Texts) -> gr.HTML:
    """The component of the tab ``key``; it tells ``trim``, with ``start`` and ``end`` in seconds."""
    parts = (("timeline.js", texts.timeline), ("cropping.js", texts.cropping))
    scripts = "\n".join(
        f"{{\nconst texts = {json.dumps(asdict(words))};\n{read_scripts(name)}\n}}" for name, words in parts
    )
    return gr.HTML(
        {},
        html_template=timeline.html(texts) + cropping.html(texts),
        js_on_load=f"{read_scripts('seeing.js')}\n{scripts}\nbegin();",
        apply_default_css=False,
        elem_id=f"{key}-seen",
        elem_classes="seen",
    )


def value(plan: TabPlan, spec: ModelSpec, values: Values, context: Context) -> dict[str, Any]:
    """What is told of a form as it stands; what is wrong the pre-flight line says."""
    texts = context.texts
    told: dict[str, Any] = {"told": "", "shown": "", "views": [], "clip": None, **held(values)}
    with suppress(InvalidRequest, MediaError):
        taken = plan.taken(spec)
        told["clip"] = timeline.clip_of(values, taken)
        request = preflight.described(plan, values)
        start = request.video_start
        told["views"] = _views(framing.framed(request, values, taken), start, texts)
        request = preflight.foreseen(plan, values, context)  # may refuse a part
        given = framing.framed(request, values, taken)
        told["views"] = _views(given, start, texts)
        told["told"] = framing.told_html(request, given.values(), texts)
        references = [Path(path) for path in values.get("references") or ()] if "references" in taken else []
        seen = framing.seen_html(request, given.values(), start)
        told["shown"] = seen + framing.references_html(references, texts)
    return told


def held(values: Values) -> dict[str, Any]:
    """What the browser holds, if it holds anything."""
    crops = values.get("crops")
    return {"crops": crops["crops"]} if isinstance(crops, dict) and "crops" in crops else {}


def _views(given: Mapping[str, framing.Framed], start: float, texts: Texts) -> list[dict[str, Any]]:
    """What the browser draws a frame on for each of the inputs; it keeps to ``aspect``, if there is any."""
    return [
        {
            "field": field,
            "of": cropping.mark_of(str(each.file)),
            "title": texts.names[field].label,
            "src": framing.whole_picture(each, start),
            "width": each.facts.width,
            "height": each.facts.height,
            "aspect": None if each.leads else each.cut_to,
            "cut": each.cut_to,
        }
        for field, each in given.items()
        if field in cropping.FIELDS
    ]
