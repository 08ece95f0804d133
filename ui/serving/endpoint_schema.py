"""What the HTTP API takes and gives, as JSON schema; that of a request follows from its fields."""

from __future__ import annotations

from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from wan_core.catalog import MODELS
from wan_core.schema import GenerationRequest, knobs
from wan_core.schema.crops import Crops
from wan_core.schema.inputs import MEDIA_FIELDS
from wan_core.schema.windows import WindowOptions

Schema = dict[str, Any]

_WORDS = (WindowOptions, Crops)
"""What is told in words, as on the command line."""

_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}
_LORA: Schema = {
    "type": "object",
    "properties": {
        "file": {"type": "string", "description": "Its name in a folder of LoRAs."},
        "strength": {"type": "number", "description": "From -2 to 2; a list is one for each step."},
        "blocks": {"type": "string", "description": "Which blocks it may touch; empty is all."},
        "merge": {"type": "boolean", "description": "Merge it into the weights."},
    },
}
_FILE: Schema = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "description": "What POST /gradio_api/upload returned."},
        "meta": {"type": "object", "properties": {"_type": {"type": "string"}}},
    },
}

JOB_SCHEMA: Schema = {
    "type": "string",
    "title": "job",
    "description": "The id that generate returned.",
    "example": "0123456789abcdef",
}

ANSWERS: dict[str, Schema] = {
    "generate": {"type": "string", "description": "The id of the job."},
    "status": {"type": "object", "properties": {}, "description": "job, status, stage, step, total ..."},
    "cancel": {"type": "boolean", "description": "Whether there was anything to stop."},
    "result": {"type": "object", "properties": {}, "description": "files, request, seconds, warnings"},
}


def request_schema() -> Schema:
    """Every field of ``GenerationRequest`` with its help, bounds, choices and default.

    Media are no part of it: they are files, see ``FILES_SCHEMA``.
    """
    fields = {name: _field(name) for name in knobs() if name not in MEDIA_FIELDS}
    fields["model"]["description"] += f" One of {', '.join(MODELS)}."
    example = {"model": "demo", "prompt": "a red circle moving right", "seed": 1}
    schema = {"type": "object", "title": "request", "properties": fields, "required": ["prompt"]}
    return {**schema, "example": example}


def _field(name: str) -> Schema:
    info, knob = GenerationRequest.model_fields[name], knobs()[name]
    schema = {**_kind(info.annotation), "title": knob.label, "description": knob.help}
    if name == "loras":
        schema["items"] = _LORA
    for key, bound in (("minimum", knob.low), ("maximum", knob.high)):
        if bound is not None:
            schema[key] = bound
    if info.default is not None and not isinstance(info.default, tuple):
        schema["default"] = info.default
    return schema


def _kind(annotation: Any) -> Schema:
    """The type of a field; None, which is the model's default, is to leave it out."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(part for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) is Literal:
        return {"type": "string", "enum": list(get_args(annotation))}
    if annotation in _WORDS:
        return {"type": "string"}
    if annotation in _TYPES:
        return {"type": _TYPES[annotation]}
    return {"type": "array", "items": {"type": _TYPES.get(get_args(annotation)[0], "number")}}


def _files() -> Schema:
    fields = {name: {**_FILE, "description": knobs()[name].help} for name in knobs() if name in MEDIA_FIELDS}
    fields["references"] = {"type": "array", "items": _FILE, "description": knobs()["references"].help}
    return {"type": "object", "title": "files", "properties": fields}


FILES_SCHEMA = _files()
