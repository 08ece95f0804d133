"""Frames that crop what is given: ``crops`` of a request <-> what the browser holds.

The browser holds, by a field's name, the box and ``of``, a mark of the file that it was drawn on. So a box
means nothing to another file, however soon that is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from ui.strings import Texts
from wan_core.schema.crops import Crops

FIELDS = tuple(Crops.model_fields)

SWAP_JS = """(first, last, held) => {
  const { image, last_image, ...others } = held?.crops ?? {};
  const crops = { ...others, ...(image && { last_image: image }), ...(last_image && { image: last_image }) };
  return [last, first, { crops }];
}"""

_CORNERS = ("nw", "ne", "sw", "se")


def to_field(values: Mapping[str, Any]) -> dict[str, Any]:
    """The boxes of the files that are in the form, as the browser tells them: the request judges them."""
    held = values.get("crops")
    held = held.get("crops") if isinstance(held, Mapping) else None
    boxes = {}
    for field in FIELDS if isinstance(held, Mapping) else ():
        crop, path = held.get(field), values.get(field)
        if path and isinstance(crop, Mapping) and crop.get("of") == mark_of(path):
            boxes[field] = crop.get("box")
    return boxes


def to_held(crops: Crops | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the browser is to hold so that ``to_field`` gives a request's crops of the files in ``values``."""
    boxes = {field: getattr(crops, field, None) for field in FIELDS}
    return {
        "crops": {
            field: {"of": mark_of(values[field]), "box": list(box)}
            for field, box in boxes.items()
            if box is not None and values.get(field)
        }
    }


def mark_of(path: str) -> str:
    """A mark of a file that survives Gradio's copying it: its length and its name."""
    file = Path(path)
    return f"{file.stat().st_size} {file.name}" if file.is_file() else ""


def html(texts: Texts) -> str:
    """Where the caption and the frames are drawn; a frame's parts are in a template."""
    words = texts.cropping
    corners = "".join(f'<i class="corner {name}"></i>' for name in _CORNERS)
    return (
        '<div class="told"><div class="words"></div>'
        f'<button type="button" class="crop" hidden>{escape(words.crop)}</button></div>'
        '<div class="crops"></div><template><figure><div class="sheet"><img alt="" draggable="false">'
        '<div class="window" role="slider" tabindex="0" aria-valuemin="0" aria-valuemax="100" '
        f'title="{escape(words.window_help)}">{corners}<i class="cut"></i></div></div>'
        '<figcaption><b></b> <span class="size"></span> '
        f'<button type="button" class="whole">{escape(words.whole)}</button></figcaption></figure></template>'
        '<div class="shown"></div>'
    )
