"""How a making tab is laid out: what is given, the prompt, the choices, Generate, and what is folded."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from ui import choices, form, inputs, loras
from ui.tabs.making_tab import MakingTab, examples_html
from ui.tabs.plans import FOLDS, folded
from wan_core.catalog import ModelSpec
from wan_core.schema import GenerationRequest, knobs

_ICONS = Path(__file__).resolve().parents[2] / "assets" / "icons"
_PICK_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (button) trigger('pick', { prompt: button.title, number: Number(button.dataset.number ?? -1) });
});
"""
_FIELD = "field"
_BRUSH = "#ffffff"


def lay_out(tab: MakingTab, spec: ModelSpec) -> None:
    """Build all components of a tab inside the current column, as they are for ``spec``."""
    values = {**form.values_of(GenerationRequest(model=spec.id)), **tab.default_values(spec)}
    _given(tab)
    _prompt(tab, spec, values)
    _steering(tab)
    _choices(tab, spec, values)
    _actions(tab)
    for name in FOLDS:
        _fold(tab, name, spec, values)
    _loras(tab)
    _sampling(tab, values)
    _output(tab, values)
    tab.parts["ends"] = gr.Textbox(tab.slider_ends(spec, values), visible="hidden", elem_id=f"{tab.key}-ends")
    tab.parts["again"] = gr.Button(elem_id=f"{tab.key}-again", elem_classes=["unseen", "tell-again"])
    updates = tab.model_updates(spec, tab.default_values(spec))
    for name, part in {**tab.controls, **{f"fold-{name}": fold for name, fold in tab.folds.items()}}.items():
        if "visible" in updates.get(name, {}):
            part.visible = updates[name]["visible"]


def _given(tab: MakingTab) -> None:
    """The files on the first screen, and what the model will see of them."""
    first = [name for name in tab.plan.first if name in inputs.FILES]
    if first:
        with gr.Row(elem_classes="given"):
            for name in first:
                tab.controls[name] = inputs.build(name, tab.key, tab.context.texts)
        if {"image", "last_image"} <= set(first):
            with gr.Row(elem_classes="tools"):
                tab.parts["swap"] = gr.Button(
                    tab.context.texts.swap, size="sm", elem_id=f"{tab.key}-swap", min_width=100
                )
    tab.parts["seen"] = gr.HTML(elem_id=f"{tab.key}-seen", elem_classes="seen", apply_default_css=False)


def _prompt(tab: MakingTab, spec: ModelSpec, values: dict[str, Any]) -> None:
    texts, controls, key = tab.context.texts, tab.controls, tab.key
    controls["prompt"] = gr.Textbox(
        label=knobs()["prompt"].label,
        placeholder=texts.prompt_placeholder,
        lines=3,
        max_lines=8,
        elem_id=f"{key}-prompt",
        elem_classes=[_FIELD, "field-prompt"],
        autofocus=not tab.plan.first,
    )
    tab.parts["examples"] = gr.HTML(
        examples_html(tab.plan, spec, texts),
        js_on_load=_PICK_JS,
        elem_id=f"{key}-examples",
        elem_classes="examples",
        apply_default_css=False,
    )
    _model_and_seed(tab, spec, values)
    tab.parts["world"] = gr.HTML(
        f'<p class="note">{escape(texts.demo_world)}</p>',
        visible=spec.folder is not None,
        elem_id=f"{key}-world",
        apply_default_css=False,
    )


def _model_and_seed(tab: MakingTab, spec: ModelSpec, values: dict[str, Any]) -> None:
    texts, controls, key = tab.context.texts, tab.controls, tab.key
    with gr.Row(elem_classes="model-row"):
        controls["model"] = gr.Dropdown(
            [(model.title, model.id) for model in tab.plan.models],
            value=spec.id,
            label=knobs()["model"].label,
            elem_id=f"{key}-model",
            elem_classes=[_FIELD, "field-model"],
            min_width=240,
        )
        with gr.Row(elem_classes="seed-row"):
            controls["seed"] = gr.Number(
                values["seed"],
                label=knobs()["seed"].label,
                precision=0,
                elem_id=f"{key}-seed",
                elem_classes=[_FIELD, "field-seed"],
                min_width=120,
            )
            tab.parts["dice"] = gr.Button(
                texts.dice,
                icon=_ICONS / "dice.svg",
                elem_id=f"{key}-dice",
                elem_classes="icon",
                scale=0,
                min_width=42,
            )


def _steering(tab: MakingTab) -> None:
    """What is no file and yet on the first screen."""
    first = [name for name in tab.plan.first if name not in inputs.FILES and name in tab.plan.inputs]
    if first:
        with gr.Row():
            for name in inputs.names(first):
                tab.controls[name] = inputs.build(name, tab.key, tab.context.texts)


def _choices(tab: MakingTab, spec: ModelSpec, values: dict[str, Any]) -> None:
    """Resolution, duration, quality; at first with what any model offers, see ``form.control``."""
    texts, controls, key = tab.context.texts, tab.controls, tab.key
    with gr.Row():
        controls["resolution"] = gr.Radio(
            form.all_tiers(tab.plan),
            value=values["resolution"],
            label=texts.resolution,
            elem_id=f"{key}-resolution",
            elem_classes=_FIELD,
            min_width=150,
        )
        if _shows_aspect(tab):
            _aspect(tab, values)
    frames = knobs()["num_frames"]
    controls["num_frames"] = gr.Slider(
        frames.low,
        frames.high,
        value=values["num_frames"],
        step=frames.step,
        label=texts.duration,
        info=texts.picture_help if "t2i" in tab.plan.tasks else None,
        buttons=[],
        elem_id=f"{key}-num_frames",
        elem_classes=_FIELD,
    )
    controls["quality"] = gr.Radio(
        form.quality_choices(spec, texts),
        value=values["quality"],
        label=texts.quality,
        elem_id=f"{key}-quality",
        elem_classes=_FIELD,
    )


def _shows_aspect(tab: MakingTab) -> bool:
    """Whether the aspect ratio is on the first screen; where a picture decides it, it is folded."""
    return not tab.plan.first or "match_input" not in tab.plan.inputs


def _aspect(tab: MakingTab, values: dict[str, Any]) -> None:
    match = "match_input" in tab.plan.inputs
    tab.controls["aspect"] = gr.Radio(
        form.aspect_choices(list(choices.ASPECTS), match, tab.context.texts),
        value=values["aspect"],
        label=tab.context.texts.aspect,
        elem_id=f"{tab.key}-aspect",
        elem_classes=_FIELD,
        scale=2,
    )


def _actions(tab: MakingTab) -> None:
    texts, parts, key = tab.context.texts, tab.parts, tab.key
    parts["preflight"] = gr.HTML(
        elem_id=f"{key}-preflight", elem_classes="preflight", apply_default_css=False
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
                elem_id=f"{key}-{name}",
                elem_classes=name,
                **width,
            )
    parts["notice"] = gr.HTML(elem_id=f"{key}-notice", elem_classes="notice", apply_default_css=False)


def _fold(tab: MakingTab, name: str, spec: ModelSpec, values: dict[str, Any]) -> None:
    """A folded part, if any model of the tab takes an input of it that is not on the first screen."""
    offered = folded(tab.plan, name)
    if _shows_aspect(tab):
        offered = [part for part in offered if part != "match_input"]
    if not offered:
        return
    texts, before = tab.context.texts, set(tab.controls)
    with gr.Accordion(
        texts.folds[name], open=False, elem_id=f"{tab.key}-{name}_fold", elem_classes="fold"
    ) as tab.folds[name]:
        if name == "mask":
            _drawing(tab)
        if "match_input" in offered:
            _aspect(tab, values)
        with gr.Column(min_width=0) if name == "steering" else gr.Row():
            for control in inputs.names(offered):
                if control not in inputs.SIDES:
                    tab.controls[control] = inputs.build(control, tab.key, texts)
        if inputs.SIDES[0] in inputs.names(offered):
            with gr.Row(elem_classes="sides"):
                for side in inputs.SIDES:
                    tab.controls[side] = inputs.build(side, tab.key, texts)
            tab.parts["sides_help"] = gr.HTML(
                f'<p class="note">{escape(texts.sides_help)}</p>',
                visible=False,
                elem_id=f"{tab.key}-sides_help",
                apply_default_css=False,
            )
    tab.folded[name] = [control for control in tab.controls if control not in before]


def _drawing(tab: MakingTab) -> None:
    """A picture to paint a mask on."""
    tab.drawing = gr.ImageEditor(
        type="pil",
        label=tab.context.texts.draw_mask,
        sources=(),
        transforms=(),
        layers=False,
        brush=gr.Brush(colors=[_BRUSH], default_color=_BRUSH, color_mode="fixed"),
        height=320,
        buttons=[],
        elem_id=f"{tab.key}-drawing",
    )


def _loras(tab: MakingTab) -> None:
    with gr.Accordion(
        tab.context.texts.loras.fold, open=False, elem_id=f"{tab.key}-loras_fold", elem_classes="fold"
    ):
        tab.controls["loras"] = loras.build(tab.context, tab.key)


def _sampling(tab: MakingTab, values: dict[str, Any]) -> None:
    texts, controls, key = tab.context.texts, tab.controls, tab.key
    with gr.Accordion(texts.sampling, open=False, elem_id=f"{key}-sampling", elem_classes="fold"):
        for name in form.fields("sampling"):
            controls[name] = form.control(name, values[name], key)
            if name == "negative_prompt":
                tab.parts["reset"] = gr.Button(texts.reset_negative, size="sm", elem_id=f"{key}-reset")
        controls["videos"] = gr.Slider(
            1,
            form.MAX_VIDEOS,
            value=1,
            step=1,
            label=texts.videos,
            info=texts.videos_help,
            buttons=[],
            elem_id=f"{key}-videos",
            elem_classes=_FIELD,
        )


def _output(tab: MakingTab, values: dict[str, Any]) -> None:
    with gr.Accordion(tab.context.texts.output, open=False, elem_id=f"{tab.key}-output", elem_classes="fold"):
        for name in form.fields("output"):
            tab.controls[name] = form.control(name, values[name], tab.key)
        if "image_format" in tab.plan.inputs:
            tab.controls["image_format"] = inputs.build("image_format", tab.key, tab.context.texts)
