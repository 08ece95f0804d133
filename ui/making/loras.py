"""The LoRAs of a form: rows of a file and its strength, drawn by the browser in one component.

Its value is a list of rows, ``{"file", "strength", "blocks", "merge"}``; a strength is a text, as it may be
a list. The browser asks for names and cards only once the rows are in sight, and again each time they
come into sight.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import gradio as gr

from ui.assets import read_scripts
from ui.context import Context
from ui.making import arriving
from ui.strings.loras import LoraTexts
from wan_core.catalog import ModelSpec
from wan_core.lora.card import LoraCard
from wan_core.lora.presets import PRESETS, preset_for
from wan_core.lora.shelf import find_lora, list_loras
from wan_core.lora.sorting import PartsCount
from wan_core.manager.lora_cards import lora_card, lora_count
from wan_core.models.dit.config import DiTConfig
from wan_core.schema import GenerationRequest, InvalidRequest, Settings, WeightsError
from wan_core.schema.lora import MAX_LORAS, LoraUse

MAX_ROWS = 4

PRESET_FIELDS = ("num_inference_steps", "guidance_scale", "shift", "scheduler")
"""What a preset sets besides its LoRA's strength."""


Row = dict[str, Any]


def build(context: Context, key: str) -> gr.HTML:
    """The rows of the tab ``key``.

    It tells ``input``, ``ask`` (files and downloads, whose ``answer`` it awaits), ``preset`` (a key) and
    ``word`` (a text).
    """
    texts = {**dataclasses.asdict(context.texts.loras), "none_yet": _none_yet(context)}
    # not as properties: Gradio forgets them where the form changes before the rows are first seen
    constants = (
        f"const texts = {json.dumps(texts)}, most = {MAX_ROWS}, owned = {json.dumps(context.owned)};\n"
    )
    return gr.HTML(
        [],
        html_template='<div class="loras"></div>',
        js_on_load=constants + read_scripts("loras.js", "arriving.js"),
        apply_default_css=False,
        elem_id=f"{key}-loras",
        elem_classes="field",
    )


def _none_yet(context: Context) -> str:
    """How to come by a LoRA; whoever does not own the machine learns no folder of it."""
    texts = context.texts.loras
    return texts.none_yet.format(folder=context.settings.loras_dir) if context.owned else texts.none_here


def answer(context: Context, event: gr.EventData) -> Any:
    """The update of the rows that tells the names of all LoRAs, about those asked for, and of downloads."""
    files, arriving_told = getattr(event, "files", None), arriving.act(context, event)
    asked = [str(file) for file in files if isinstance(file, str)] if isinstance(files, list) else []
    cards = {file: told(context, file) for file in asked[:MAX_LORAS]}
    return gr.update(told={"names": list_loras(context.settings), "cards": cards, **arriving_told})


def told(context: Context, name: str) -> Row:
    """What the page shows of a LoRA; its card, or why it cannot be read."""
    try:
        card, problem = _card(context.settings, name), ""
    except InvalidRequest as error:
        card, problem = LoraCard(), error.problem
    except WeightsError as error:
        card, problem = LoraCard(), str(error)
    if card.family:
        problem = _not_for_wan(name, card.family)
    preset = preset_for(name)
    row = PRESETS.get(preset or "")
    return {
        **dataclasses.asdict(card),
        "problem": context.texts.said(problem),
        "preset": row and {"key": preset, "title": row.title, "strength": row.strength},
    }


def to_field(rows: Any) -> list[Row]:
    """The request's ``loras``, of the rows that name a file.

    Raises:
        InvalidRequest: a strength is no number.
    """
    given = [row for row in rows or () if isinstance(row, dict) and row.get("file")]
    names = LoraUse.model_fields
    return [
        {
            **{name: row[name] for name in names if name in row},
            "strength": _strength(row.get("strength", 1.0)),
        }
        for row in given
    ]


def _strength(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        numbers = [float(word) for word in text.replace(",", " ").split()]
    except ValueError as error:
        raise InvalidRequest(
            "loras", f"{text[:40]!r} is no strength", "Write a number, such as 0.8, or one for each step."
        ) from error
    return numbers[0] if len(numbers) == 1 else numbers or 1.0


def to_rows(uses: Iterable[LoraUse]) -> list[Row]:
    """The rows that give a request's LoRAs again."""
    rows = []
    for use in uses:
        strengths = use.strength if isinstance(use.strength, tuple) else (use.strength,)
        text = ", ".join(f"{number:g}" for number in strengths)
        rows.append({**use.model_dump(mode="json"), "strength": text})
    return rows


def check(request: GenerationRequest, spec: ModelSpec, settings: Settings) -> list[PartsCount]:
    """How much of each LoRA fits; one that is not there, or is for another model, is refused by its header.

    Raises:
        InvalidRequest: naming the file.
    """
    counts = []
    for use in request.loras:
        try:
            card = _card(settings, use.file)
        except WeightsError as error:
            raise InvalidRequest("loras", f"{use.file} cannot be used", str(error)) from error
        if card.family:
            raise InvalidRequest("loras", _not_for_wan(use.file, card.family), "Choose another.")
        if card.width not in (None, spec.dit.dim):
            raise InvalidRequest(
                "loras",
                f"{use.file} is for a transformer of width {card.width}, and that of {spec.title} is "
                f"{spec.dit.dim}",
                "Choose a LoRA for this model, or the model that it was made for.",
            )
        count = _count(settings, use.file, spec.dit)
        if not count.fitting:
            raise InvalidRequest("loras", f"{use.file} fits no part of {spec.title}", "Choose another.")
        counts.append(count)
    return counts


def facts(counts: Sequence[PartsCount], texts: LoraTexts) -> list[str]:
    """How many LoRAs there are and how much of each fits, as one fact of the line above Generate."""
    if not counts:
        return []
    number = texts.count_one if len(counts) == 1 else texts.count_many.format(count=len(counts))
    fitting = ", ".join(texts.of_parts.format(**count._asdict()) for count in counts)
    return [texts.parts_fit.format(loras=number, counts=fitting)]


def _not_for_wan(name: str, family: str) -> str:
    return f"{name} looks like a LoRA for {family}, not for Wan"


def _card(settings: Settings, name: str) -> LoraCard:
    """A LoRA's card, read once for each state of its file."""
    return _read_card(settings, name, _state(settings, name))


def _count(settings: Settings, name: str, dit: DiTConfig) -> PartsCount:
    """How much of a LoRA fits a transformer, counted once for each state of its file."""
    return _read_count(settings, name, _state(settings, name), dit)


def _state(settings: Settings, name: str) -> tuple[int, int]:
    facts = find_lora(settings, name).stat()
    return facts.st_size, facts.st_mtime_ns


@lru_cache(256)
def _read_count(settings: Settings, name: str, state: tuple[int, int], dit: DiTConfig) -> PartsCount:
    return lora_count(settings, name, dit)


@lru_cache(256)
def _read_card(settings: Settings, name: str, state: tuple[int, int]) -> LoraCard:
    return lora_card(settings, name)
