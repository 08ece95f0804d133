"""How a making tab is laid out: what is given on the first screen, and what is folded."""

from __future__ import annotations

from html import escape

import gradio as gr

from ui.making import inputs, seeing
from ui.making.uploads import Drawing
from ui.tabs.making_tab import MakingTab
from ui.tabs.plans import FOLDS, folded

_BRUSH = "#ffffff"


def headed(words: str) -> gr.Accordion:
    """A part below a heading, which folds it; an open fold is no component, as a heading in HTML would be."""
    return gr.Accordion(words, open=True, elem_classes="headed")


def lay_out(tab: MakingTab) -> None:
    """Build a tab's own components inside the current column, as they are for its first model."""
    _given(tab)
    _steering(tab)
    for name in FOLDS:
        _fold(tab, name)
    spec = tab.first_model
    for name, update in tab.updates(spec, tab.default_values(spec)).items():
        if "visible" in update:
            tab.outputs[name].visible = update["visible"]


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
    if tab.plan.inputs & {*inputs.FILES}:
        tab.controls["crops"] = seeing.build(tab.key, tab.context.texts)


def _steering(tab: MakingTab) -> None:
    """What is no file and yet on the first screen."""
    first = [name for name in tab.plan.first if name not in inputs.FILES and name in tab.plan.inputs]
    if first:
        with gr.Row():
            for name in inputs.names(first):
                tab.controls[name] = inputs.build(name, tab.key, tab.context.texts)


def _fold(tab: MakingTab, name: str) -> None:
    """A folded part, if any model of the tab takes an input of it that is not on the first screen."""
    offered = folded(tab.plan, name)
    if not offered:
        return
    texts, before = tab.context.texts, set(tab.controls)
    with gr.Accordion(
        texts.folds[name], open=False, elem_id=f"{tab.key}-{name}_fold", elem_classes="fold"
    ) as tab.folds[name]:
        if name == "mask":
            _drawing(tab)
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
    tab.drawing = Drawing(
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
