"""The options of ``generate``: one for each field of a request, media given as files."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError

from wan_core.catalog import ModelSpec, find_model
from wan_core.media.inputs import InputStore
from wan_core.media.naming import suffix_of
from wan_core.schema import GenerationRequest, InvalidRequest, Knob, knobs
from wan_core.schema.inputs import MEDIA_FIELDS
from wan_core.schema.lora import LoraUse
from wan_core.schema.output import SUFFIXES, VideoFormat
from wan_core.schema.request import ImageFormat, Task

_NAMES = {"references": "reference", "loras": "lora"}
"""Options that are not called like their field."""


def add_request_options(parser: argparse.ArgumentParser, only: Collection[str] = ()) -> None:
    """One option per field, or per field of ``only``; what is not given stays out of the request."""
    for name, knob in knobs().items():
        if only and name not in only:
            continue
        kind = _kind(name)
        parser.add_argument(
            option_of(name), dest=name, default=argparse.SUPPRESS, help=_help(name, knob), **kind
        )


def option_of(name: str) -> str:
    """What the option of a field is called."""
    return f"--{_NAMES.get(name, name).replace('_', '-')}"


def read_request(
    options: argparse.Namespace, inputs: InputStore, preset: Mapping[str, Any] | None = None
) -> GenerationRequest:
    """The request that the options describe, above what a preset says; its media are taken into ``inputs``.

    Without ``--task`` it is the first of the model's tasks that takes what is given.

    Raises:
        InvalidRequest: naming the first field at fault.
        MediaError: a file is none that can be used.
    """
    values = {name: value for name, value in vars(options).items() if name in knobs()}
    for name in MEDIA_FIELDS & set(values):
        given = values[name]
        values[name] = (
            [inputs.keep(path) for path in given] if isinstance(given, list) else inputs.keep(given)
        )
    if options.output is not None:
        values = {**_told_by(options.output, values), **values}
    values = {**(preset or {}), **values}
    if "task" not in values:
        spec = find_model(values.get("model", GenerationRequest().model))
        values["task"] = infer_task(spec, set(values))
    return GenerationRequest.parse(values)


def require_suffix(output: Path | None, request: GenerationRequest) -> None:
    """Refuse a file name that does not say what is written.

    Raises:
        InvalidRequest: naming the ending that fits.
    """
    wanted = suffix_of(request)
    if output is not None and wanted and _ending(output) != wanted:
        kind = "picture" if request.task == "t2i" else "video"
        raise InvalidRequest(
            "output", f"{output.name!r} is no name for this {kind}", f"End it with {wanted}."
        )


def _ending(output: Path) -> str:
    return {".jpg": ".jpeg"}.get(output.suffix.lower(), output.suffix.lower())


def _told_by(output: Path, given: dict[str, Any]) -> dict[str, Any]:
    """A name asks for its format; that of a picture for one, unless a video is asked for in words."""
    ending = _ending(output)
    is_video = bool(MEDIA_FIELDS & set(given)) or given.get("task", "t2i") != "t2i" or "video_format" in given
    if ending.removeprefix(".") in get_args(ImageFormat) and not is_video:
        return {"image_format": ending.removeprefix("."), "task": "t2i"}
    format = format_of(output)
    return {} if format is None else {"video_format": format}


def format_of(output: Path) -> VideoFormat | None:
    """The format of videos with this ending, if there is one."""
    ending = _ending(output)
    return next((format for format, suffix in SUFFIXES.items() if suffix and suffix == ending), None)


def infer_task(spec: ModelSpec, given: set[str]) -> Task:
    """The first task that needs no more and takes no less than the media and steering fields given."""
    fields = {name for name, knob in knobs().items() if knob.group in ("media", "steering")} & given
    for task, takes in spec.inputs.items():
        if set(takes.required) <= fields <= {*takes.taken, "fit", "match_input"}:
            return task
    return spec.tasks[0]


def _alternatives(annotation: Any) -> list[Any]:
    """The types of a union other than None."""
    if get_origin(annotation) in (Union, UnionType):
        return [part for part in get_args(annotation) if part is not type(None)]
    return [annotation]


def _kind(name: str) -> dict[str, Any]:
    """How argparse takes the option of a field."""
    (annotation,) = _alternatives(GenerationRequest.model_fields[name].annotation)
    if annotation is bool:
        return {"action": argparse.BooleanOptionalAction}
    metavar = name.rsplit("_", 1)[-1].upper()
    if name == "loras":
        return {"action": "append", "type": _read_lora, "metavar": "FILE[:STRENGTH[:BLOCKS[:merge]]]"}
    if get_origin(annotation) is tuple:
        parts = get_args(annotation)
        many = "+" if parts[-1] is Ellipsis else len(parts)
        return {"nargs": many, "metavar": "FILE" if name in MEDIA_FIELDS else "N", **_path(name)}
    return {"metavar": "FILE" if name in MEDIA_FIELDS else metavar, **_path(name)}


def _path(name: str) -> dict[str, Any]:
    return {"type": Path} if name in MEDIA_FIELDS else {}


def _read_lora(text: str) -> LoraUse:
    try:
        return LoraUse.read(text)
    except ValidationError as error:
        raise argparse.ArgumentTypeError(f"{text[:80]!r}: {error.errors()[0]['msg']}") from error
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _help(name: str, knob: Knob) -> str:
    info = GenerationRequest.model_fields[name]
    (annotation,) = _alternatives(info.annotation)
    bounds = f" [{knob.low:g}..{knob.high:g}]" if knob.low is not None and knob.high is not None else ""
    if get_origin(annotation) is Literal:
        bounds = f" [{', '.join(get_args(annotation))}]"
    none = "none" if knob.group in ("media", "steering") else "the model's own"
    default = {None: none, "": "none", (): "none"}.get(info.default, info.default)
    return f"{knob.help}{bounds} (default: {default})".replace("%", "%%")
