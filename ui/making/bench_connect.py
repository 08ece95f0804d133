"""What the shared form does by itself: choices that set others, the prompt's helpers, and what it tells."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from ui.listening import QUIET, error_html
from ui.making import choices, form, framing, inputs, loras, prompting, refining
from ui.making.bench import Bench, Updates
from ui.making.examples import inputs_for, request_of
from ui.tabs.making_tab import MakingTab
from wan_core.catalog import find_model
from wan_core.lora.presets import PRESETS
from wan_core.media.inputs import InputStore
from wan_core.schema import GenerationRequest, InvalidRequest, MediaError

_TOLD_OTHERWISE = ("prompt", "negative_prompt", "model", "resolution", "quality")
"""Controls that do not touch the pre-flight line, or touch it through a handler of their own."""

_TYPED = (gr.Textbox, gr.Number, gr.Slider, gr.Radio, gr.Dropdown, gr.Checkbox, gr.HTML)
_SEEN_BY = {
    *("model", "resolution", "aspect", "match_input", "fit", "video_start", "video_end", "fps"),
    *("mask_builder", "crops"),
    *inputs.SIDES,
    *framing.SHAPED,
    "references",
}
"""Controls that decide what the model sees."""

_SLEEP_JS = "() => ({ __type__: 'update', interactive: false })"


def connect(bench: Bench) -> None:
    """Listen to people only (``input``): while a handler fills many controls, they contradict each other."""
    _connect_model(bench)
    _connect_choices(bench)
    _connect_prompt(bench)
    _connect_loras(bench)
    prompting.connect(bench)
    _connect_telling(bench)


def connect_strip(bench: Bench, places: dict[str, gr.Tab]) -> None:
    """Going from tab to tab: the form shows what it held there, see ``Bench.forms``."""

    def switch(key: str, forms: dict[str, Any] | None, *arguments: Any) -> list[Any]:
        reading, tab = bench.read(arguments), bench.tabs[key]
        if tab is reading.tab:  # a handler went there and has filled the form
            return [gr.skip()] * 4
        values = bench.held(tab, forms or {}, reading)
        try:
            updates = bench.updates(tab, find_model(values["model"]), values)
        except InvalidRequest:  # a model file that has gone meanwhile
            updates = bench.updates(tab, tab.first_model, tab.default_values(tab.first_model))
        filling = bench.fill({**updates, "form-notice": ""}, kept="prompt")
        return [key, bench.left(forms, reading), filling, ""]

    generate = bench.parts["generate"]
    for key, place in places.items():
        place.select(None, None, generate, js=_SLEEP_JS, **QUIET)
        outputs = [bench.active, bench.forms, bench.filling, bench.editing]
        bench.filled_after(place.select(partial(switch, key), [bench.forms, *bench.inputs], outputs, **QUIET))


def _connect_model(bench: Bench) -> None:
    def choose_model(*arguments: Any) -> str:
        reading = bench.read(arguments)
        tab, spec = reading.tab, reading.spec
        builder = {name: value for name, value in reading.values.items() if name == "mask_builder"}
        own = tab.default_values(spec)
        levels = form.values_of(GenerationRequest(model=spec.id))["guidance"]
        guidance = {**refining.without_levels(reading.shared.get("guidance")), **levels}
        return bench.fill(bench.updates(tab, spec, {**own, **builder, "guidance": guidance}))

    chosen = bench.controls["model"].input(choose_model, bench.inputs, bench.filling, **QUIET)
    bench.filled_after(chosen)


def _connect_choices(bench: Bench) -> None:
    controls = bench.controls

    def choose_resolution(model: str, resolution: str, aspect: str, shift: float) -> list[Any]:
        spec = find_model(model)
        offered = list(choices.sizes_by_choice(spec).get(resolution, {}))
        kept = aspect if aspect in offered else next(iter(offered), None)
        return [gr.update(choices=offered, value=kept), choices.shift_for(spec, resolution, shift)]

    def name_quality(model: str, steps: int) -> str | None:
        return choices.quality_of(find_model(model), steps)

    def choose_shape(model: str, matched: bool) -> Any:
        return gr.update(visible=form.asks_shape(find_model(model), matched))

    model, steps, quality = controls["model"], controls["num_inference_steps"], controls["quality"]
    resolution, aspect, shift = controls["resolution"], controls["aspect"], controls["shift"]
    chosen = (
        resolution.input(choose_resolution, [model, resolution, aspect, shift], [aspect, shift], **QUIET),
        quality.input(None, quality, steps, js="(quality) => window.wanStudio.stepsOf(quality)", **QUIET),
        bench.parts["dice"].click(None, None, controls["seed"], js="() => -1", **QUIET),
    )
    for event in chosen:
        bench.tell_after(event)
    steps.input(name_quality, [model, steps], quality, **QUIET)
    bench.filled_after(controls["windows"].input(bench.offer_lengths, bench.inputs, bench.filling, **QUIET))
    for tab in bench.tabs.values():
        if matching := tab.controls.get("match_input"):
            matching.input(choose_shape, [model, matching], aspect, **QUIET)


def _connect_prompt(bench: Bench) -> None:
    prompt, notice, model = bench.controls["prompt"], bench.notice, bench.controls["model"]

    def own_negative(model: str) -> str:
        return find_model(model).defaults.negative_prompt

    kept = "(said) => said?.includes('leave-editing') ? said : ''"  # that is still so
    prompt.input(None, notice, notice, js=kept, **QUIET)
    bench.parts["reset"].click(own_negative, model, bench.controls["negative_prompt"], **QUIET)

    def take_example(active: str, model: str, event: gr.EventData) -> str:
        return bench.fill(_example(bench, bench.tabs[active], model, event))

    picked = bench.parts["examples"].pick(take_example, [bench.active, model], bench.filling, **QUIET)
    bench.filled_after(picked)


def _example(bench: Bench, tab: MakingTab, model: str, picked: gr.EventData) -> Updates:
    """A prompt; where an example brings files along, the whole form becomes that of a request with them."""
    if not tab.plan.first:
        return {"form-prompt": gr.update(value=str(picked.prompt)), "form-notice": ""}
    store = InputStore(bench.context.settings.inputs_dir)
    try:
        spec = find_model(model)
        example = dict(enumerate(inputs_for(spec, tab.key))).get(picked.number)
        if example is None:  # another model has been chosen meanwhile
            return {}
        return bench.restore(tab, request_of(example, spec, tab.plan.task(spec, None), store))
    except (InvalidRequest, MediaError) as error:
        return {"form-notice": error_html(bench.context.texts.said(str(error)))}


def _connect_loras(bench: Bench) -> None:
    """A preset sets what belongs to it; a trigger word joins the prompt."""
    controls = bench.controls

    def take_preset(model: str, guidance: Any, event: gr.EventData) -> list[Any]:
        row = PRESETS.get(str(event.preset))
        if row is None:
            return [gr.skip()] * len(chosen)
        quality = choices.quality_of(find_model(model), row.num_inference_steps)
        levels = refining.to_rows(GenerationRequest(sigmas=row.sigmas))
        refined = {**refining.without_levels(guidance), **levels}
        return [*(getattr(row, name) for name in loras.PRESET_FIELDS), quality, refined]

    def take_word(prompt: str, event: gr.EventData) -> str:
        words = [part for part in ((prompt or "").rstrip(" ,"), str(event.word)) if part]
        return ", ".join(words)

    def tell_of(event: gr.EventData) -> Any:
        return loras.answer(bench.context, event)

    rows = controls["loras"]
    rows.ask(tell_of, None, rows, trigger_mode="multiple", **QUIET)
    chosen = [controls[name] for name in (*loras.PRESET_FIELDS, "quality", "guidance")]
    bench.tell_after(rows.preset(take_preset, [controls["model"], controls["guidance"]], chosen, **QUIET))
    rows.word(take_word, controls["prompt"], controls["prompt"], **QUIET)


def _connect_telling(bench: Bench) -> None:
    """The pre-flight line follows every control; so does, where files are given, what the model sees."""
    named = [*bench.controls.items(), *(item for tab in bench.tabs.values() for item in tab.controls.items())]
    told_by = [
        part.input
        for name, part in named
        if name not in _TOLD_OTHERWISE and name not in _SEEN_BY and isinstance(part, _TYPED)
    ]
    seen_by = [
        part.change if name in inputs.FILES else part.input
        for name, part in named
        if name in _SEEN_BY and name != "model"
    ]
    _listen(bench, [*told_by, bench.controls["images"].change], bench.tell, bench.told)
    # told only then: what an upload changes besides is in the form by that time
    bench.tell_after(_listen(bench, seen_by, bench.see, list(bench.seen.values())))


def _listen(bench: Bench, events: list[Any], handler: Any, outputs: list[Any]) -> Any:
    return gr.on(events, handler, bench.inputs, outputs, trigger_mode="always_last", **QUIET)
