"""Pictures, videos and what steers by them: controls <-> request fields of ``media`` and ``steering``.

Most fields have a control of their name. Others are told in a person's terms: four sides in percent serve
two fields, frames are written as "0, -1", ``join`` says whether the video that is gone on from is joined.
Files are kept (``keep``) only when a job is made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from ui.making import cropping, form
from ui.making.uploads import Clip, Picture
from ui.strings import Texts
from wan_core.media.inputs import InputStore
from wan_core.schema import GenerationRequest, InvalidRequest, MediaError, knobs
from wan_core.schema.inputs import InputName

PICTURES = ("image", "last_image")
FILES = (*PICTURES, "references", "video", "mask", "camera_poses")
SIDES = ("left", "top", "right", "bottom")

CONTROLS: dict[str, tuple[str, ...]] = {
    "region": SIDES,
    "outpaint": SIDES,  # only one of them is built
    "continues": ("continues", "join"),
}
"""Request field -> its controls, where these are not one of the same name."""

JOINING = {"continues", "join"}
"""Controls that are seen only where something is gone on from."""

STAYING = {"continues", "crops"}
"""Controls that are always there, whatever the model takes: one never meets the eye, the other shows nothing
then."""

BUILDING = {*SIDES, "kept_frames"}
"""Controls that are seen only where a mask is built from them."""

_BUILDERS_USE = {
    "region": ("region",),
    "outpaint": ("outpaint",),
    "kept_frames": ("frames", "before", "after"),
}
_FILE_TYPES = {
    "references": ["image"],
    "mask": ["image", "video"],
    "camera_poses": [".txt"],
}
_HEIGHT, _FILE_HEIGHT = 190, 150

Keep = Callable[[Path], InputName]


def names(taken: Iterable[str]) -> list[str]:
    """The controls of some request fields."""
    return list(dict.fromkeys(control for field in taken for control in CONTROLS.get(field, (field,))))


def building(builder: str | None) -> set[str]:
    """The controls of ``BUILDING`` that a way to build masks uses."""
    return set(names(field for field, builders in _BUILDERS_USE.items() if builder in builders))


def build(name: str, key: str, texts: Texts) -> gr.components.Component:
    """The component of a control of the tab ``key``."""
    common: dict[str, Any] = {"elem_id": f"{key}-{name}", "elem_classes": "field"}
    if name in SIDES:
        return gr.Number(0, label=texts.sides[name], min_width=70, **common)
    if name == "join":
        return gr.Checkbox(True, label=texts.join, info=texts.join_help, visible=False, **common)
    if name == "continues":
        return gr.Textbox(visible="hidden", **common)
    common["label"] = texts.names[name].label
    if name in PICTURES:
        return Picture(sources=["upload", "clipboard"], height=_HEIGHT, buttons=[], **common)
    if name == "video":
        return Clip(sources=["upload"], height=_HEIGHT, buttons=[], **common)
    if name == "kept_frames":
        return gr.Textbox(info=texts.names[name].help, placeholder="0, -1", **common)
    if name in _FILE_TYPES:
        count = "multiple" if name == "references" else "single"
        return gr.File(file_count=count, file_types=_FILE_TYPES[name], height=_FILE_HEIGHT, **common)
    return form.control(name, GenerationRequest.model_fields[name].default, key, texts)


def to_fields(values: Mapping[str, Any], taken: set[str], keep: Keep) -> dict[str, Any]:
    """The request fields that the controls describe, of those that a model takes.

    Raises:
        InvalidRequest: frames that are no numbers.
        MediaError: a file that cannot be used.
    """
    fields: dict[str, Any] = {}
    for name in taken & GenerationRequest.model_fields.keys():
        if name in _BUILDERS_USE and values.get("mask_builder") not in _BUILDERS_USE[name]:
            continue
        value = _READERS.get(name, _plain)(name, values, keep)
        if value not in (None, "", ()):
            fields[name] = value
    return fields


def _plain(name: str, values: Mapping[str, Any], keep: Keep) -> Any:
    value = values.get(name)
    return value.strip() if isinstance(value, str) else value


def _kept(name: str, values: Mapping[str, Any], keep: Keep) -> InputName | None:
    path = values.get(name)
    return keep(Path(path)) if path else None


def _all_kept(name: str, values: Mapping[str, Any], keep: Keep) -> tuple[InputName, ...]:
    return tuple(keep(Path(path)) for path in values.get(name) or ())


def _sides(name: str, values: Mapping[str, Any], keep: Keep) -> tuple[float, ...]:
    return tuple((values.get(side) or 0) / 100 for side in SIDES)


def _frames(name: str, values: Mapping[str, Any], keep: Keep) -> tuple[int, ...]:
    words = (values.get(name) or "").replace(",", " ").split()
    try:
        return tuple(int(word) for word in words)
    except ValueError as error:
        raise InvalidRequest(
            name, f"{values[name]!r} is no list of frames", "Write whole numbers, such as 0, -1."
        ) from error


def _joined(name: str, values: Mapping[str, Any], keep: Keep) -> InputName | None:
    return values.get("continues") if values.get("join") else None


_READERS: dict[str, Callable[[str, Mapping[str, Any], Keep], Any]] = {
    **dict.fromkeys(("image", "last_image", "video", "mask", "camera_poses"), _kept),
    "references": _all_kept,
    "region": _sides,
    "outpaint": _sides,
    "kept_frames": _frames,
    "continues": _joined,
    "crops": lambda name, values, keep: cropping.to_field(values) or None,
}


def to_values(request: GenerationRequest, store: InputStore) -> tuple[dict[str, Any], list[str]]:
    """The values of all these controls that give a request again, and a sentence per file that is gone."""
    values: dict[str, Any] = {}
    gone: list[str] = []

    def place(name: InputName) -> str | None:
        try:
            return str(store.path(name))
        except MediaError as error:
            gone.append(str(error))
            return None

    for field, knob in knobs().items():
        if knob.group not in ("media", "steering"):
            continue
        value = getattr(request, field)
        if field == "references":
            values[field] = [path for name in value if (path := place(name))] or None
        elif field in FILES:
            values[field] = value and place(value)
        elif field == "kept_frames":
            values[field] = ", ".join(map(str, value))
        elif field not in (*CONTROLS, "crops"):
            values[field] = form.shown_value(field, value)
    shares = request.region or request.outpaint or (0,) * len(SIDES)
    values.update({side: round(share * 100, 2) for side, share in zip(SIDES, shares, strict=True)})
    values["crops"] = cropping.to_held(request.crops, values)
    return {**values, "continues": request.continues or "", "join": request.continues is not None}, gone
