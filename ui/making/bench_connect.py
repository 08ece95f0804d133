"""What the shared form does by itself: choices that set others, the prompt's helpers, and what it tells."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.listening import QUIET, error_html
from ui.making import choices, form, framing, inputs, loras, prompting, refining
from ui.making.bench import LOOK_JS, TELL_JS, Bench, Reading, Updates
from ui.making.examples import inputs_for, request_of
from ui.tabs.making_tab import MakingTab
from wan_core.catalog import ModelSpec, find_model
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

_SWITCH_JS = "(filling, ...rest) => [window.wanStudio.wanted(), ...rest]"


def connect(bench: Bench) -> None:
    """Listen to people only (``input``): while a handler fills many controls, they contradict each other."""
    _connect_model(bench)
    _connect_choices(bench)
    _connect_lengths(bench)
    _connect_prompt(bench)
    _connect_loras(bench)
    prompting.connect(bench)
    _connect_telling(bench)


def connect_strip(bench: Bench, places: dict[str, gr.Tab]) -> None:
    """Going from tab to tab: the form shows what it held there, see ``Bench.forms``.

    One switch at a time, to where the person is by then: who goes on meanwhile is followed once the form is
    filled, or it would end up as the tab whose answer came last.
    """

    def switch(key: str | None, forms: dict[str, Any] | None, *arguments: Any) -> list[Any]:
        reading, tab = bench.read(arguments), bench.tabs.get(key or "")
        if tab is None or tab is reading.tab:  # a handler went there and has filled the form
            return [gr.skip()] * 4
        values = bench.held(tab, forms or {}, reading)
        try:
            updates = bench.updates(tab, find_model(values["model"]), values)
        except InvalidRequest:  # a model file that has gone meanwhile
            updates = bench.updates(tab, tab.first_model, tab.default_values(tab.first_model))
        filling = bench.fill({**updates, "form-notice": ""}, kept="prompt")
        return [tab.key, bench.left(forms, reading), filling, ""]

    generate = bench.parts["generate"]
    for key, place in places.items():
        place.select(None, None, generate, js=f"() => window.wanStudio.go({key!r})", **QUIET)
    events = [*(place.select for place in places.values()), bench.pulses["switch"]]
    given = [bench.filling, bench.forms, *bench.inputs]  # the first one makes room for where the person is
    outputs = [bench.active, bench.forms, bench.filling, bench.editing]
    bench.filled_after(gr.on(events, switch, given, outputs, js=_SWITCH_JS, trigger_mode="once", **QUIET))


def _connect_model(bench: Bench) -> None:
    def choose_model(reading: Reading, spec: ModelSpec) -> Updates:
        builder = {name: value for name, value in reading.values.items() if name == "mask_builder"}
        own = reading.tab.default_values(spec)
        levels = form.values_of(GenerationRequest(model=spec.id))["guidance"]
        guidance = {**refining.without_levels(reading.shared.get("guidance")), **levels}
        return bench.updates(reading.tab, spec, {**own, **builder, "guidance": guidance})

    chosen = bench.controls["model"].input
    bench.asleep_on(chosen)
    bench.fill_on(chosen, choose_model)


def _connect_choices(bench: Bench) -> None:
    controls = bench.controls

    def choose_resolution(reading: Reading, spec: ModelSpec) -> Updates:
        shift = choices.shift_for(spec, reading.shared["resolution"], reading.shared["shift"])
        return {"form-shift": gr.update(value=shift)}

    def choose_shape(reading: Reading, spec: ModelSpec) -> Updates:
        matched = bool(reading.values.get("match_input"))
        return {"form-aspect": gr.update(visible=form.asks_shape(spec, matched))}

    steps, quality = controls["num_inference_steps"], controls["quality"]
    chosen = (
        quality.input(None, quality, steps, js="(quality) => window.wanStudio.stepsOf(quality)", **QUIET),
        bench.parts["dice"].click(None, None, controls["seed"], js="() => -1", **QUIET),
    )
    for event in chosen:
        bench.tell_after(event)
    steps.input(None, steps, quality, js="(steps) => window.wanStudio.qualityOf(steps)", **QUIET)
    bench.asleep_on(controls["resolution"].input)
    bench.fill_on(controls["resolution"].input, choose_resolution, "resolution", "shift")
    for tab in bench.tabs.values():
        if matching := tab.controls.get("match_input"):
            bench.fill_on(matching.input, choose_shape)


def _connect_lengths(bench: Bench) -> None:
    """How long a clip can be follows from windows, how long it is from a video that is given."""

    def offer_lengths(reading: Reading, spec: ModelSpec) -> Updates:
        """The ends of the slider of frames, which windows move."""
        values = reading.values
        pictures, windows = "t2i" in reading.tab.plan.tasks_of(spec), bool(values.get("windows"))
        low, high = form.slider_range("num_frames", spec, values["num_frames"], pictures, windows)
        return {"form-num_frames": gr.update(minimum=low, maximum=high)}

    def choose_length(reading: Reading, spec: ModelSpec) -> Updates:
        """A clip is as long as the video given, where the model can make that."""
        path = reading.values.get("video")
        try:
            seconds = framing.facts_of(path).seconds if path else None
        except MediaError:
            seconds = None
        if seconds is None:
            return {}
        frames = form.frames_for(seconds, reading.shared["fps"] or spec.defaults.fps, spec)
        return {"form-num_frames": gr.update(value=frames)}

    bench.fill_on(bench.controls["windows"].input, offer_lengths)
    bench.fill_on(bench.pulses["measure"], choose_length)
    for key, tab in bench.tabs.items():
        if video := tab.controls.get("video"):
            given = video.upload(None, None, None, js="() => []", **QUIET)  # only then it is in the form
            measure = f"() => window.wanStudio.measure({key!r})"
            given.then(None, None, bench.parts["generate"], js=measure, **QUIET)


def _connect_prompt(bench: Bench) -> None:
    prompt, notice, model = bench.controls["prompt"], bench.notice, bench.controls["model"]

    def own_negative(model: str) -> str:
        return find_model(model).defaults.negative_prompt

    kept = "(said) => said?.includes('leave-editing') ? said : ''"  # that is still so
    prompt.input(None, notice, notice, js=kept, **QUIET)
    bench.parts["reset"].click(own_negative, model, bench.controls["negative_prompt"], **QUIET)

    def take_example(active: str, model: str, event: gr.EventData) -> str:
        about = {"tab": active, "model": model}
        return bench.fill(_example(bench, bench.tabs[active], model, event), about=about)

    pick = bench.parts["examples"].pick
    bench.asleep_on(pick)
    bench.filled_after(pick(take_example, [bench.active, model], bench.filling, **QUIET))


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

    def take_preset(active: str, model: str, guidance: Any, event: gr.EventData) -> str:
        row = PRESETS.get(str(event.preset))
        if row is None:
            return bench.fill({})
        values = {name: getattr(row, name) for name in loras.PRESET_FIELDS}
        values["quality"] = choices.quality_of(find_model(model), row.num_inference_steps)
        levels = refining.to_rows(GenerationRequest(sigmas=row.sigmas))
        values["guidance"] = {**refining.without_levels(guidance), **levels}
        updates = {f"form-{name}": gr.update(value=value) for name, value in values.items()}
        return bench.fill(updates, about={"tab": active, "model": model})

    def take_word(prompt: str, event: gr.EventData) -> str:
        words = [part for part in ((prompt or "").rstrip(" ,"), str(event.word)) if part]
        return ", ".join(words)

    def tell_of(event: gr.EventData) -> Any:
        return loras.answer(bench.context, event)

    rows = controls["loras"]
    rows.ask(tell_of, None, rows, trigger_mode="multiple", **QUIET)
    given = [bench.active, controls["model"], controls["guidance"]]
    bench.asleep_on(rows.preset)
    bench.filled_after(rows.preset(take_preset, given, bench.filling, **QUIET))
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
    for events, script in (([*told_by, bench.controls["images"].change], TELL_JS), (seen_by, LOOK_JS)):
        gr.on(events, None, None, None, js=script, **QUIET)
    asked = {"trigger_mode": "always_last", **QUIET}  # one after the other: no answer overtakes a later one
    bench.pulses["tell"](bench.tell, bench.inputs, bench.told, **asked)
    # told only then: what an upload changes besides is in the form by that time
    bench.tell_after(bench.pulses["look"](bench.see, bench.inputs, list(bench.seen.values()), **asked))
