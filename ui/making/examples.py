"""Prompts that show what a model can do, and files of the demo world to try the other tabs with."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from ui.assets import ASSETS
from wan_core.catalog import ModelSpec
from wan_core.catalog.local import split
from wan_core.media.inputs import InputStore
from wan_core.schema import GenerationRequest
from wan_core.schema.inputs import MEDIA_FIELDS

FOLDER = ASSETS / "examples"

Example = dict[str, Any]
"""Fields of a request and a ``title``; files are named by what they are called in ``FOLDER``."""


@cache
def _read(name: str) -> dict[str, list[Any]]:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def prompts_for(spec: ModelSpec) -> list[str]:
    """Prompts for this model; the large models share one set."""
    prompts, (base, _) = _read("prompts.json"), split(spec.id)
    return prompts.get(base) or prompts["any"]


def inputs_for(spec: ModelSpec, tab: str) -> list[Example]:
    """Files and a prompt for them, of a tab that needs files; only the demo models know their world."""
    return _read("inputs.json").get(tab, []) if spec.folder else []


def pictures_of(example: Example) -> list[Path]:
    """The pictures among an example's files, to be shown with it."""
    named = [value for name, value in example.items() if name in MEDIA_FIELDS]
    files = [file for value in named for file in ([value] if isinstance(value, str) else value)]
    return [FOLDER / file for file in files if file.endswith(".png")]


def request_of(example: Example, spec: ModelSpec, task: str, store: InputStore) -> GenerationRequest:
    """An example as a request, its files kept.

    Raises:
        MediaError: the disk refuses a file.
    """

    fields = {name: value for name, value in example.items() if name != "title"}
    for name in MEDIA_FIELDS & fields.keys():
        files = fields[name]
        if isinstance(files, str):
            fields[name] = store.keep(FOLDER / files)
        else:
            fields[name] = [store.keep(FOLDER / file) for file in files]
    return GenerationRequest.parse({**fields, "model": spec.id, "task": task})
