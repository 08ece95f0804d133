"""Guidance and noise levels of a form: many small controls, drawn by the browser in one component.

Its value is what is not as it would be without: name of a request field -> a number, a word, a switch, or the
text of a list of numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import gradio as gr

from ui.assets import read_scripts
from ui.strings import Texts, title_of
from wan_core.schema import GenerationRequest, InvalidRequest, knobs

SECTIONS: dict[str, tuple[str, ...]] = {
    "course": (
        "guidance_scales",
        "guidance_scale_end",
        "guidance_easing",
        "guidance_start",
        "guidance_end",
    ),
    "cfg_zero": ("cfg_zero", "zero_init_steps"),
    "nag": ("nag_scale", "nag_tau", "nag_alpha"),
    "skipping": ("skip_blocks", "skip_mode", "skip_scale", "skip_start", "skip_end"),
    "enhancing": ("enhance_video", "enhance_start", "enhance_end"),
    "fresca": ("fresca_low", "fresca_high", "fresca_cutoff"),
    "riflex": ("riflex",),
    "steps": ("sigmas", "start_step", "end_step"),
}
"""What is drawn together, in the order of the page."""

FIELDS = tuple(name for names in SECTIONS.values() for name in names)

Rows = dict[str, Any]


def build(texts: Texts, value: Rows, key: str) -> gr.HTML:
    """All sections; it tells ``input``."""
    drawn = [
        {"title": texts.guidance.sections[name], "fields": [_drawn(field, texts) for field in fields]}
        for name, fields in SECTIONS.items()
    ]
    told = {"changed": texts.guidance.changed, "reset": texts.guidance.reset}
    # not as properties: Gradio forgets them where the form changes before they are first seen
    constants = f"const sections = {json.dumps(drawn)}, texts = {json.dumps(told)};\n"
    return gr.HTML(
        value,
        html_template='<div class="guidance"></div>',
        js_on_load=constants + read_scripts("guidance.js"),
        apply_default_css=False,
        elem_id=f"{key}-guidance",
        elem_classes="field",
    )


def _drawn(name: str, texts: Texts) -> dict[str, Any]:
    """What the browser draws a field from."""
    knob, info = knobs()[name], GenerationRequest.model_fields[name]
    drawn = {"name": name, "label": texts.names[name].label, "help": texts.names[name].help}
    if is_list(name):
        return {**drawn, "kind": "list", "default": ""}
    if info.annotation is bool:
        return {**drawn, "kind": "switch", "default": info.default}
    if get_origin(info.annotation) is Literal:
        words = [(title_of(word, texts.titles), word) for word in get_args(info.annotation)]
        return {**drawn, "kind": "choice", "default": info.default, "choices": words}
    default = "" if info.default is None else info.default
    bounds = {"low": knob.low, "high": knob.high, "step": knob.step}
    return {**drawn, "kind": "number", "default": default, **bounds}


def is_list(name: str) -> bool:
    """Whether a field holds several numbers."""
    annotation = GenerationRequest.model_fields[name].annotation
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return any(get_origin(part) is tuple for part in parts)


def to_rows(request: GenerationRequest) -> Rows:
    """The value that gives these fields of a request again."""
    rows: Rows = {}
    for name in FIELDS:
        value = getattr(request, name)
        if value not in (None, ()) and value != GenerationRequest.model_fields[name].default:
            rows[name] = ", ".join(f"{one:g}" for one in value) if is_list(name) else value
    return rows


def to_fields(rows: Any) -> dict[str, Any]:
    """The request fields of a value.

    Raises:
        InvalidRequest: a list holds something that is no number.
    """
    given: Mapping[str, Any] = rows if isinstance(rows, dict) else {}
    fields = {}
    for name in FIELDS:
        value = given.get(name)
        if value not in (None, ""):
            fields[name] = _numbers(name, str(value)) if is_list(name) else value
    return fields


def without_levels(rows: Any) -> Rows:
    """The value without noise levels, which belong to a model."""
    return {name: value for name, value in (rows or {}).items() if name != "sigmas"}


def _numbers(name: str, text: str) -> list[float | int]:
    words = text.replace(",", " ").split()
    try:
        return [int(word) if word.isdigit() else float(word) for word in words]
    except ValueError as error:
        raise InvalidRequest(
            name, f"{text[:40]!r} is no list of numbers", "Write numbers, such as 1, 0.75, 0.5."
        ) from error
