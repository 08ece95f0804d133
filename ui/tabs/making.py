"""A tab that makes something of a prompt and, but for the first, of what is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from ui import choices, form, framing, inputs, loras, preflight
from ui.context import Context
from ui.examples import inputs_for, request_of
from ui.listening import QUIET, error_html
from ui.tabs.layout import lay_out
from ui.tabs.making_tab import MakingTab
from ui.tabs.plans import TabPlan
from wan_core.catalog import find_model
from wan_core.lora.presets import PRESETS
from wan_core.media.inputs import InputStore
from wan_core.media.read import read_first_frame
from wan_core.schema import InvalidRequest, MediaError

_TOLD_OTHERWISE = ("prompt", "negative_prompt", "model", "resolution", "quality")
"""Controls that do not touch the pre-flight line, or touch it through a handler of their own."""

_TYPED = (gr.Textbox, gr.Number, gr.Slider, gr.Radio, gr.Dropdown, gr.Checkbox, gr.HTML)
_SEEN_BY = (
    *("model", "resolution", "aspect", "fit", "video_start", "mask_builder"),
    *inputs.SIDES,
    *framing.SHAPED,
    "references",
)
"""Controls that decide what the model sees."""


def build(context: Context, plan: TabPlan) -> MakingTab:
    """Lay a tab out and connect what concerns nothing outside it."""
    tab = MakingTab(context, plan)
    lay_out(tab, tab.first_model)
    _connect_choices(tab)
    _connect_prompt(tab)
    _connect_loras(tab)
    _connect_telling(tab)
    _connect_files(tab)
    return tab


def _connect_choices(tab: MakingTab) -> None:
    """Listen to people only (``input``): while a handler fills many controls, they contradict each other."""
    controls = tab.controls

    def choose_model(model: str, *builder: str) -> list[Any]:
        spec = find_model(model)
        values = tab.default_values(spec) | dict(zip(("mask_builder",), builder, strict=False))
        return tab.in_order(tab.model_updates(spec, values))

    def choose_resolution(model: str, resolution: str, aspect: str, shift: float) -> list[Any]:
        spec = find_model(model)
        sizes = choices.sizes_by_choice(spec).get(resolution, {})
        offered = form.aspect_choices(list(sizes), tab.matches(spec), tab.context.texts)
        held = [value for _, value in offered]
        kept = aspect if aspect in held else next(iter(held), None)
        return [gr.update(choices=offered, value=kept), choices.shift_for(spec, resolution, shift)]

    def choose_quality(model: str, quality: str) -> int:
        return choices.steps_for(find_model(model))[quality]

    def name_quality(model: str, steps: int) -> str | None:
        return choices.quality_of(find_model(model), steps)

    model, steps, quality = controls["model"], controls["num_inference_steps"], controls["quality"]
    resolution, aspect, shift = controls["resolution"], controls["aspect"], controls["shift"]
    builder = [controls["mask_builder"]] if "mask_builder" in controls else []
    filled = model.input(choose_model, [model, *builder], list(tab.outputs.values()), **QUIET)
    tab.refit_after(filled)
    chosen = (
        resolution.input(choose_resolution, [model, resolution, aspect, shift], [aspect, shift], **QUIET),
        quality.input(choose_quality, [model, quality], steps, **QUIET),
        tab.parts["dice"].click(None, None, controls["seed"], js="() => -1", **QUIET),
    )
    for event in chosen:
        tab.tell_after(event)
    steps.input(name_quality, [model, steps], quality, **QUIET)


def _connect_prompt(tab: MakingTab) -> None:
    prompt, notice = tab.controls["prompt"], tab.notice

    def take_example(event: gr.EventData) -> tuple[str, str]:
        return str(event.prompt), ""

    def own_negative(model: str) -> str:
        return find_model(model).defaults.negative_prompt

    if tab.plan.first:
        _connect_examples(tab)
    else:
        tab.parts["examples"].pick(take_example, None, [prompt, notice], **QUIET)
    kept = "(said) => said?.includes('leave-editing') ? said : ''"  # that is still so
    prompt.input(None, notice, notice, js=kept, **QUIET)
    negative = tab.controls["negative_prompt"]
    tab.parts["reset"].click(own_negative, tab.controls["model"], negative, **QUIET)


def _connect_examples(tab: MakingTab) -> None:
    """An example brings its files along: the whole form becomes that of a request with them."""
    store = InputStore(tab.context.settings.inputs_dir)

    def take_example(model: str, event: gr.EventData) -> list[Any]:
        try:
            spec = find_model(model)
            example = dict(enumerate(inputs_for(spec, tab.key))).get(event.number)
            if example is None:  # another model has been chosen meanwhile
                return tab.in_order({})
            request = request_of(example, spec, tab.plan.task(spec, None), store)
            return tab.in_order(tab.restore(request))
        except (InvalidRequest, MediaError) as error:
            return tab.in_order({"notice": error_html(str(error))})

    chosen = tab.parts["examples"].pick(
        take_example, tab.controls["model"], list(tab.outputs.values()), **QUIET
    )
    tab.refit_after(chosen)


def _connect_loras(tab: MakingTab) -> None:
    """A preset sets what belongs to it; a trigger word joins the prompt."""
    controls = tab.controls

    def take_preset(model: str, event: gr.EventData) -> list[Any]:
        row = PRESETS.get(str(event.preset))
        if row is None:
            return [gr.skip()] * (len(loras.PRESET_FIELDS) + 1)
        quality = choices.quality_of(find_model(model), row.num_inference_steps)
        return [*(getattr(row, name) for name in loras.PRESET_FIELDS), quality]

    def take_word(prompt: str, event: gr.EventData) -> str:
        words = [part for part in ((prompt or "").rstrip(" ,"), str(event.word)) if part]
        return ", ".join(words)

    def tell_of(event: gr.EventData) -> Any:
        return loras.answer(tab.context.settings, event.files)

    rows = controls["loras"]
    rows.ask(tell_of, None, rows, trigger_mode="multiple", **QUIET)
    chosen = [*(controls[name] for name in loras.PRESET_FIELDS), controls["quality"]]
    tab.tell_after(rows.preset(take_preset, controls["model"], chosen, **QUIET))
    rows.word(take_word, controls["prompt"], controls["prompt"], **QUIET)


def _connect_telling(tab: MakingTab) -> None:
    """The pre-flight line follows every control; so does, where files are given, what the model sees."""
    controls, parts = tab.controls, tab.parts
    seen_by = [controls[name] for name in _SEEN_BY if name in controls]
    files = [controls[name] for name in inputs.FILES if name in controls]

    def see(*arguments: Any) -> str:
        return _seen_html(tab, tab.values(arguments))

    told_by = [
        part
        for name, part in controls.items()
        if name not in _TOLD_OTHERWISE and isinstance(part, _TYPED) and part not in seen_by
    ]
    _listen(tab, [*(part.input for part in told_by), parts["again"].click], tab.tell, tab.told)
    typed = [part.input for part in seen_by if part not in files and part is not controls["model"]]
    if not files:
        _listen(tab, typed, tab.tell, tab.told)
        return
    # told only then: what an upload changes besides is in the form by that time
    tab.tell_after(_listen(tab, [*typed, *(part.change for part in files)], see, parts["seen"]))


def _listen(tab: MakingTab, events: list[Any], handler: Any, outputs: Any) -> Any:
    return gr.on(events, handler, tab.inputs, outputs, trigger_mode="always_last", **QUIET)


def _seen_html(tab: MakingTab, values: form.Values) -> str:
    try:
        taken = tab.plan.taken(find_model(values["model"]))
        request = preflight.foreseen(tab.plan, values, tab.context)
        return framing.seen_html(request, values, taken, tab.context.texts)
    except (InvalidRequest, MediaError):  # the pre-flight line says it
        return ""


def _connect_files(tab: MakingTab) -> None:
    """What is given: swapped, its length taken, painted on."""
    controls = tab.controls
    if "swap" in tab.parts:
        pair = [controls["image"], controls["last_image"]]
        tab.parts["swap"].click(None, pair, pair, js="(first, last) => [last, first]", **QUIET)
    if "video" in controls:
        _connect_video(tab)
    if "mask_builder" in controls:
        _connect_building(tab)


def _connect_building(tab: MakingTab) -> None:
    """The numbers that a mask is built from are seen where it is."""
    names = [name for name in tab.controls if name in inputs.BUILDING]

    def choose_builder(builder: str) -> list[Any]:
        used = inputs.building(builder)
        return [
            gr.update(visible=on) for on in (*(name in used for name in names), used >= set(inputs.SIDES))
        ]

    outputs = [*(tab.controls[name] for name in names), tab.parts["sides_help"]]
    builder = tab.controls["mask_builder"]
    builder.input(choose_builder, builder, outputs, **QUIET)


def _connect_video(tab: MakingTab) -> None:
    controls = tab.controls

    def take_length(path: str | None, model: str, fps: float) -> Any:
        if not path:
            return gr.skip()
        try:
            seconds = framing.facts_of(path).seconds
        except MediaError:
            return gr.skip()
        spec = find_model(model)
        return form.frames_for(seconds, fps or spec.defaults.fps, spec)

    def paint_on(path: str | None) -> Any:
        try:
            frame = read_first_frame(Path(path)) if path else None
        except MediaError:
            frame = None
        return frame if frame is None else {"background": frame, "layers": [], "composite": None}

    video, frames = controls["video"], controls["num_frames"]
    tab.tell_after(video.upload(take_length, [video, controls["model"], controls["fps"]], frames, **QUIET))
    if tab.drawing is not None:
        video.change(paint_on, video, tab.drawing, **QUIET)
