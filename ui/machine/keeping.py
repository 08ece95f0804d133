"""Keeping a setting that somebody has changed, and saying so."""

from __future__ import annotations

from typing import Any

from ui.context import Context
from ui.listening import error_html, note_html
from wan_core.jobs.job import Machine
from wan_core.manager.kept_settings import changed
from wan_core.schema import InvalidRequest
from wan_core.schema.compiling import graphs_impossible
from wan_core.schema.schemes import SCHEMES, fp16_accumulation_unsupported
from wan_core.schema.settings import setting_knobs


def keep(context: Context, name: str, value: Any) -> str:
    """Keep a setting and say so, or why not; nothing is said of one that is so already."""
    knob, texts = setting_knobs()[name], context.texts
    label = texts.settings.names[name].label
    values = {name: None if value == "" else value}
    machine = context.store.worker_status().machine
    try:
        if changed(context.settings, values) == context.settings:
            return ""
        if refusal := unsupported(name, value, machine):
            return error_html(f"{label}: {texts.said(refusal)}")
        context.change(values)
    except InvalidRequest as error:
        problem, remedy = texts.said(error.problem), texts.said(error.remedy)
        return error_html(texts.sentence.format(name=label, problem=problem, remedy=remedy))
    return note_html(texts.settings.saved[knob.effect])


def unsupported(name: str, value: Any, machine: Machine | None) -> str | None:
    """Why the device cannot do what a setting asks for; None where it can, or nothing is known of it."""
    if machine is not None and (name, value) == ("fp16_accumulation", "on"):
        return fp16_accumulation_unsupported(machine.facts)
    if machine is not None and name == "attention":
        return machine.no_attention.get(value)
    if machine is not None and (name, value) == ("compile", "graphs"):
        return graphs_impossible(machine.facts.kind)
    if machine is not None and name == "compile" and value != "off":
        return machine.no_compiling or None
    if machine is None or name != "precision" or value not in SCHEMES:
        return None
    return SCHEMES[value].unsupported(machine.facts)
