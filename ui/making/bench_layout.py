"""How the form below the strip is laid out: the prompt, the choices, Generate, and what is folded."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import gradio as gr

from ui.making import choices, enlarging, form, inputs, loras, prompting, refining
from ui.making.bench import PULSES, Bench
from ui.making.example_chips import PICK_JS, examples_html
from ui.making.uploads import OneOf
from wan_core.catalog import MODELS, ModelSpec
from wan_core.schema import GenerationRequest, knobs

_FIELD = "field"
_PULSES_JS = f"""
for (const [name, event] of Object.entries({json.dumps(PULSES)})) {{
  window.wanStudio.pulses[name] = () => trigger(event);
}}
"""


def lay_out(bench: Bench, first: str) -> None:
    """Build the form inside the current column, as it is for the first model of the tab ``first``."""
    tab = bench.tabs[first]
    spec = tab.first_model
    values = {**form.values_of(GenerationRequest(model=spec.id)), **tab.default_values(spec)}
    _prompt(bench, examples_html(tab.plan, spec, bench.context.texts))
    _model_and_seed(bench, spec, values)
    _note(bench, "world", bench.context.texts.demo_world, spec.folder is not None)
    _choices(bench, spec, values)
    _actions(bench)
    with _fold("loras", bench.context.texts.loras.fold):
        bench.controls["loras"] = loras.build(bench.context, "form")
    _sampling(bench, values)
    with _fold("guidance", bench.context.texts.guidance.fold):
        bench.controls["guidance"] = refining.build(bench.context.texts, values["guidance"], "form")
    _speed(bench, values)
    _output(bench, values)
    for name, part in bench.controls.items():
        update = bench.updates(tab, spec, values).get(f"form-{name}", {})
        if "visible" in update:
            part.visible = update["visible"]


def _fold(name: str, title: str) -> gr.Accordion:
    return gr.Accordion(title, open=False, elem_id=f"form-{name}_fold", elem_classes="fold")


def _note(bench: Bench, name: str, words: str, visible: bool) -> None:
    bench.parts[name] = gr.HTML(
        f'<p class="note">{escape(words)}</p>',
        visible=visible,
        elem_id=f"form-{name}",
        apply_default_css=False,
    )


def _prompt(bench: Bench, examples: str) -> None:
    texts = bench.context.texts
    bench.controls["prompt"] = gr.Textbox(
        label=bench.context.texts.names["prompt"].label,
        placeholder=texts.prompt_placeholder,
        lines=3,
        max_lines=8,
        elem_id="form-prompt",
        elem_classes=[_FIELD, "field-prompt"],
        autofocus=True,
    )
    bench.parts["prompting"] = prompting.build(bench.context)
    bench.parts["examples"] = gr.HTML(
        examples,
        visible=bool(examples),
        js_on_load=PICK_JS,
        elem_id="form-examples",
        elem_classes="examples",
        apply_default_css=False,
    )


def _model_and_seed(bench: Bench, spec: ModelSpec, values: dict[str, Any]) -> None:
    controls = bench.controls
    with gr.Row(elem_classes="model-row"):
        controls["model"] = OneOf(
            [(bench.context.texts.model_title(row.id), row.id) for row in MODELS.values()],
            value=spec.id,
            label=bench.context.texts.names["model"].label,
            elem_id="form-model",
            elem_classes=[_FIELD, "field-model"],
            min_width=240,
        )
        with gr.Row(elem_classes="seed-row"):
            controls["seed"] = gr.Number(
                values["seed"],
                label=bench.context.texts.names["seed"].label,
                precision=0,
                elem_id="form-seed",
                elem_classes=[_FIELD, "field-seed"],
                min_width=120,
            )
            bench.parts["dice"] = gr.Button(
                bench.context.texts.dice,
                elem_id="form-dice",
                elem_classes="icon",
                scale=0,
                min_width=42,
            )


def _choices(bench: Bench, spec: ModelSpec, values: dict[str, Any]) -> None:
    """Resolution, duration, quality; to Gradio with what any model offers, see ``form.control``."""
    texts, controls = bench.context.texts, bench.controls
    tiers = [tier for tab in bench.tabs.values() for tier in form.all_tiers(tab.plan)]
    with gr.Row():
        controls["resolution"] = gr.Radio(
            list(dict.fromkeys(tiers)),
            value=values["resolution"],
            label=texts.resolution,
            elem_id="form-resolution",
            elem_classes=_FIELD,
            min_width=150,
        )
        controls["aspect"] = gr.Radio(
            list(choices.ASPECTS),
            value=values["aspect"],
            label=texts.aspect,
            elem_id="form-aspect",
            elem_classes=_FIELD,
            scale=2,
        )
    frames = knobs()["num_frames"]
    controls["num_frames"] = gr.Slider(
        frames.low,
        frames.high,
        value=values["num_frames"],
        step=frames.step,
        label=texts.duration,
        info=texts.picture_help,
        buttons=[],
        elem_id="form-num_frames",
        elem_classes=_FIELD,
    )
    controls["quality"] = gr.Radio(
        form.quality_choices(spec, texts),
        value=values["quality"],
        label=texts.quality,
        elem_id="form-quality",
        elem_classes=_FIELD,
    )


def _actions(bench: Bench) -> None:
    """What a click would mean, the buttons, and what came of it; always in sight, see ``studio.css``."""
    texts, parts = bench.context.texts, bench.parts
    plain = {"apply_default_css": False}
    with gr.Column(elem_id="form-actions"):
        parts["preflight"] = gr.HTML(
            js_on_load=_PULSES_JS, elem_id="form-preflight", elem_classes="preflight", **plain
        )
        with gr.Row(elem_classes="go"):
            for name, words, variant, width in (
                ("generate", texts.generate, "primary", {"scale": 3}),
                ("stop", texts.stop, "stop", {"scale": 1, "min_width": 80}),
            ):
                parts[name] = gr.Button(
                    words,
                    variant=variant,
                    interactive=False,
                    elem_id=f"form-{name}",
                    elem_classes=name,
                    **width,
                )
        parts["notice"] = gr.HTML(elem_id="form-notice", elem_classes="notice", **plain)


def _sampling(bench: Bench, values: dict[str, Any]) -> None:
    texts, controls = bench.context.texts, bench.controls
    with _fold("sampling", texts.sampling):
        controls["windows"] = form.control("windows", values["windows"], "form", texts)
        for name in form.fields("sampling"):
            controls[name] = form.control(name, values[name], "form", texts)
            if name == "negative_prompt":
                bench.parts["reset"] = gr.Button(texts.reset_negative, size="sm", elem_id="form-reset")
        controls["videos"] = gr.Slider(
            1,
            form.MAX_VIDEOS,
            value=1,
            step=1,
            label=texts.videos,
            info=texts.videos_help,
            buttons=[],
            elem_id="form-videos",
            elem_classes=_FIELD,
        )
        controls["lines"] = gr.Checkbox(
            False, label=texts.lines, info=texts.lines_help, elem_id="form-lines", elem_classes=_FIELD
        )
        controls["images"] = gr.File(
            label=texts.prompting.images,
            file_count="multiple",
            file_types=["image"],
            height=120,
            elem_id="form-images",
            elem_classes=_FIELD,
        )


def _speed(bench: Bench, values: dict[str, Any]) -> None:
    with _fold("speed", bench.context.texts.speed):
        for name in form.fields("speed"):
            bench.controls[name] = form.control(name, values[name], "form", bench.context.texts)


def _output(bench: Bench, values: dict[str, Any]) -> None:
    with _fold("output", bench.context.texts.output):
        for name in form.fields("output"):
            bench.controls[name] = form.control(name, values[name], "form", bench.context.texts)
        for name, offered in enlarging.offer(bench.context).items():
            setattr(bench.controls["upscale"], name, offered)
        bench.controls["image_format"] = inputs.build("image_format", "form", bench.context.texts)
