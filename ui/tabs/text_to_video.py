"""Text to Video: the form, the pre-flight line, Generate and Stop."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from ui import choices, form, preflight, units
from ui.context import Context
from ui.examples import prompts_for
from ui.listening import QUIET, error_html, note_html
from ui.strings import Texts
from wan_core.catalog import ModelSpec, find_model
from wan_core.schema import GenerationRequest, InvalidRequest, knobs

TASK = "t2v"

_TOLD_OTHERWISE = ("prompt", "negative_prompt", "model", "resolution", "quality")
"""Controls that do not touch the pre-flight line, or touch it through a handler of their own."""

_LONGEST_CHIP, _LONG = 70, ' class="long"'
_DEMO = "demo"
_DICE = Path(__file__).resolve().parents[2] / "assets" / "icons" / "dice.svg"
_NARROW_JS = "(ends) => JSON.parse(ends).map((pair) => ({ __type__: 'update', ...pair }))"
_PICK_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (button) trigger('pick', { prompt: button.title });
});
"""


@dataclass
class TextToVideo:
    """The tab's components: ``controls`` by name, in the order of the page."""

    context: Context
    controls: dict[str, gr.components.Component] = field(default_factory=dict)
    world: gr.HTML | None = None
    examples: gr.HTML | None = None
    ends: gr.Textbox | None = None
    preflight: gr.HTML | None = None
    notice: gr.HTML | None = None
    dice: gr.Button | None = None
    generate: gr.Button | None = None
    stop: gr.Button | None = None

    @property
    def inputs(self) -> list[gr.components.Component]:
        """All controls; a handler gets their values in this order, see ``values``."""
        return list(self.controls.values())

    @property
    def model_outputs(self) -> list[gr.components.Component]:
        """What ``model_updates`` updates."""
        return [*self.controls.values(), self.world, self.examples, self.ends]

    @property
    def told(self) -> list[gr.components.Component]:
        """What ``tell`` updates."""
        return [self.preflight, self.controls["num_frames"]]

    def values(self, arguments: tuple[Any, ...]) -> dict[str, Any]:
        return dict(zip(self.controls, arguments, strict=True))

    def model_updates(self, spec: ModelSpec, values: form.Values) -> list[Any]:
        """Show ``values`` in a form that offers what ``spec`` can do; controls not named stay."""
        updates = form.updates_for(spec, values, self.context.texts)
        return [
            *(updates.get(name, gr.skip()) for name in self.controls),
            gr.update(visible=spec.id == _DEMO),
            examples_html(spec, self.context.texts),
            _slider_ends(spec, values),
        ]

    def tell(self, *arguments: Any) -> list[Any]:
        """The pre-flight line of the form as it stands, and the clip's length beside its slider."""
        values, texts = self.values(arguments), self.context.texts
        line = preflight.preflight_html(TASK, values, self.context)
        frames, fps = values["num_frames"], values["fps"]
        if not (frames and fps):
            return [line, gr.update(label=texts.duration)]
        seconds = units.in_seconds(frames / fps)
        return [line, gr.update(label=texts.duration_of.format(seconds=seconds, frames=round(frames)))]

    def tell_after(self, event: Any) -> None:
        """Renew the pre-flight line once ``event`` has changed the form."""
        event.then(self.tell, self.inputs, self.told, **QUIET)

    def refit_after(self, event: Any) -> None:
        """``event`` has put another model or request into the form: fit the sliders' ends to it, and tell."""
        sliders = [self.controls[name] for name in form.SLIDERS]
        self.tell_after(event.then(None, self.ends, sliders, js=_NARROW_JS, **QUIET))

    def restore(self, request: GenerationRequest) -> list[Any]:
        """The updates of ``model_outputs`` and ``notice`` that put a request back into the form."""
        try:
            values = form.values_of(request)
            spec = find_model(request.model)
            return [*self.model_updates(spec, values), note_html(self._other_size(request, spec, values))]
        except InvalidRequest as error:
            unchanged = [gr.skip()] * len(self.model_outputs)
            return [*unchanged, error_html(form.sentence(error))]

    def _other_size(self, request: GenerationRequest, spec: ModelSpec, values: form.Values) -> str:
        """What to say when the form offers no such size and takes the nearest; nothing when it does."""
        taken = choices.size_for(spec, values["resolution"], values["aspect"])
        wanted = (request.width or taken[0], request.height or taken[1])
        if wanted == taken:
            return ""
        wanted_words, taken_words = (f"{width}×{height}" for width, height in (wanted, taken))
        return self.context.texts.other_size.format(wanted=wanted_words, taken=taken_words)


def _slider_ends(spec: ModelSpec, values: form.Values) -> str:
    """The ends of all of ``form.SLIDERS``, in their order, as the browser is to apply them."""
    ranges = [form.slider_range(name, spec, values.get(name)) for name in form.SLIDERS]
    return json.dumps([{"minimum": low, "maximum": high} for low, high in ranges])


def examples_html(spec: ModelSpec, texts: Texts) -> str:
    """The example prompts as buttons; one click fills the prompt."""
    buttons = "".join(
        f'<button type="button"{_LONG if len(prompt.encode()) > _LONGEST_CHIP else ""} '
        f'title="{escape(prompt, quote=True)}">{escape(prompt)}</button>'
        for prompt in prompts_for(spec)
    )
    return f'<p class="caption">{escape(texts.examples)}</p><div class="chips">{buttons}</div>'


def build(context: Context) -> TextToVideo:
    """Lay the tab out and connect what concerns nothing outside it."""
    tab = TextToVideo(context)
    spec = find_model(context.first_model)
    values = form.values_of(GenerationRequest(model=spec.id))
    _build_main(tab, spec, values)
    _build_actions(tab)
    _build_sampling(tab, values)
    _build_output(tab, values)
    _connect(tab)
    return tab


def _build_main(tab: TextToVideo, spec: ModelSpec, values: dict[str, Any]) -> None:
    texts, controls = tab.context.texts, tab.controls
    controls["prompt"] = gr.Textbox(
        label=knobs()["prompt"].label,
        placeholder=texts.prompt_placeholder,
        lines=3,
        max_lines=8,
        elem_id="field-prompt",
        autofocus=True,
    )
    tab.examples = gr.HTML(
        examples_html(spec, texts), js_on_load=_PICK_JS, elem_id="examples", apply_default_css=False
    )
    with gr.Row(elem_id="model-row"):
        controls["model"] = gr.Dropdown(
            form.model_choices(TASK),
            value=spec.id,
            label=knobs()["model"].label,
            elem_id="field-model",
            min_width=240,
        )
        _build_seed(tab, values)
    tab.world = gr.HTML(
        f'<p class="note">{escape(texts.demo_world)}</p>',
        visible=spec.id == _DEMO,
        elem_id="world",
        apply_default_css=False,
    )
    tab.ends = gr.Textbox(_slider_ends(spec, values), visible="hidden", elem_id="slider-ends")
    _build_choices(tab, spec, values)


def _build_seed(tab: TextToVideo, values: dict[str, Any]) -> None:
    texts, knob = tab.context.texts, knobs()["seed"]
    with gr.Row(elem_id="seed-row"):
        tab.controls["seed"] = gr.Number(
            values["seed"], label=knob.label, precision=0, elem_id="field-seed", min_width=120
        )
        tab.dice = gr.Button(
            texts.dice, icon=_DICE, elem_id="dice", elem_classes="icon", scale=0, min_width=42
        )


def _build_choices(tab: TextToVideo, spec: ModelSpec, values: dict[str, Any]) -> None:
    """Resolution, aspect ratio, duration, quality; at first with what any model offers, see ``control``."""
    texts, controls = tab.context.texts, tab.controls
    several = len(spec.sizes) > 1
    with gr.Row():
        controls["resolution"] = gr.Radio(
            form.all_tiers(TASK),
            value=values["resolution"],
            label=texts.resolution,
            visible=several,
            elem_id="field-resolution",
            min_width=150,
        )
        controls["aspect"] = gr.Radio(
            list(choices.ASPECTS),
            value=values["aspect"],
            label=texts.aspect,
            visible=several,
            elem_id="field-aspect",
            scale=2,
        )
    frames = knobs()["num_frames"]
    controls["num_frames"] = gr.Slider(
        frames.low,
        frames.high,
        value=values["num_frames"],
        step=frames.step,
        label=texts.duration,
        buttons=[],
        elem_id="field-num_frames",
    )
    controls["quality"] = gr.Radio(
        form.quality_choices(spec, texts),
        value=values["quality"],
        label=texts.quality,
        elem_id="field-quality",
    )


def _build_actions(tab: TextToVideo) -> None:
    texts = tab.context.texts
    tab.preflight = gr.HTML(elem_id="preflight", apply_default_css=False)
    with gr.Row(elem_id="go"):
        tab.generate = gr.Button(
            texts.generate, variant="primary", interactive=False, elem_id="generate", scale=3
        )
        tab.stop = gr.Button(
            texts.stop, variant="stop", interactive=False, elem_id="stop", scale=1, min_width=80
        )
    tab.notice = gr.HTML(elem_id="notice", apply_default_css=False)


def _build_sampling(tab: TextToVideo, values: dict[str, Any]) -> None:
    texts, controls = tab.context.texts, tab.controls
    with gr.Accordion(texts.sampling, open=False, elem_id="sampling"):
        for name in form.fields("sampling"):
            controls[name] = form.control(name, values[name])
            if name == "negative_prompt":
                reset = gr.Button(texts.reset_negative, size="sm", elem_id="reset-negative")
        controls["videos"] = gr.Slider(
            1,
            form.MAX_VIDEOS,
            value=1,
            step=1,
            label=texts.videos,
            info=texts.videos_help,
            buttons=[],
            elem_id="field-videos",
        )

    def own_negative(model: str) -> str:
        return find_model(model).defaults.negative_prompt

    reset.click(own_negative, controls["model"], controls["negative_prompt"], **QUIET)


def _build_output(tab: TextToVideo, values: dict[str, Any]) -> None:
    with gr.Accordion(tab.context.texts.output, open=False, elem_id="output"):
        for name in form.fields("output"):
            tab.controls[name] = form.control(name, values[name])


def _connect(tab: TextToVideo) -> None:
    """Listen to people only (``input``): while a handler fills many controls, they contradict each other."""
    controls = tab.controls

    def choose_model(model: str) -> list[Any]:
        spec = find_model(model)
        return tab.model_updates(spec, form.default_values(spec))

    def choose_resolution(model: str, resolution: str, aspect: str) -> Any:
        sizes = choices.sizes_by_choice(find_model(model)).get(resolution, {})
        return gr.update(choices=list(sizes), value=aspect if aspect in sizes else next(iter(sizes), None))

    def choose_quality(model: str, quality: str) -> int:
        return choices.steps_for(find_model(model))[quality]

    def name_quality(model: str, steps: int) -> str | None:
        return choices.quality_of(find_model(model), steps)

    def take_example(event: gr.EventData) -> tuple[str, str]:
        return str(event.prompt), ""

    model, steps, quality = controls["model"], controls["num_inference_steps"], controls["quality"]
    resolution, aspect = controls["resolution"], controls["aspect"]
    tab.refit_after(model.input(choose_model, model, tab.model_outputs, **QUIET))
    chosen = (
        resolution.input(choose_resolution, [model, resolution, aspect], aspect, **QUIET),
        quality.input(choose_quality, [model, quality], steps, **QUIET),
        tab.dice.click(None, None, controls["seed"], js="() => -1", **QUIET),
    )
    for event in chosen:
        tab.tell_after(event)
    steps.input(name_quality, [model, steps], quality, **QUIET)
    tab.examples.pick(take_example, None, [controls["prompt"], tab.notice], **QUIET)
    controls["prompt"].input(None, None, tab.notice, js="() => ''", **QUIET)
    others = [part for name, part in controls.items() if name not in _TOLD_OTHERWISE]
    gr.on(
        [part.input for part in others],
        tab.tell,
        tab.inputs,
        tab.told,
        trigger_mode="always_last",
        **QUIET,
    )
