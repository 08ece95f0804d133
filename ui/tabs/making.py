"""A tab that makes something of a prompt and, but for the first, of what is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from ui.context import Context
from ui.listening import QUIET
from ui.making import cropping, inputs
from ui.making.bench import LOOK_JS, Bench
from ui.tabs.layout import lay_out
from ui.tabs.making_tab import MakingTab
from ui.tabs.plans import TabPlan
from wan_core.media.read import read_first_frame
from wan_core.schema import MediaError


def build(context: Context, plan: TabPlan) -> MakingTab:
    """Lay out what a tab has of its own."""
    tab = MakingTab(context, plan)
    lay_out(tab)
    return tab


def connect(tab: MakingTab, bench: Bench) -> None:
    """What is given: swapped, its length taken, painted on."""
    controls = tab.controls
    if "swap" in tab.parts:
        pair = [controls["image"], controls["last_image"], controls["crops"]]
        tab.parts["swap"].click(None, pair, pair, js=cropping.SWAP_JS, **QUIET)
    if "video" in controls:
        _connect_video(tab, bench)
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
    builder.input(choose_builder, builder, outputs, trigger_mode="always_last", **QUIET)


def _connect_video(tab: MakingTab, bench: Bench) -> None:
    def paint_on(path: str | None) -> Any:
        try:
            frame = read_first_frame(Path(path)) if path else None
        except MediaError:
            frame = None
        return frame if frame is None else {"background": frame, "layers": [], "composite": None}

    video = tab.controls["video"]
    if "video_start" in tab.controls:
        part = [tab.controls["video_start"], tab.controls["video_end"]]
        cut = tab.controls["crops"].trim(None, None, part, js="() => window.wanStudio.part", **QUIET)
        cut.then(None, None, None, js=LOOK_JS, **QUIET)
    if tab.drawing is not None:
        video.change(paint_on, video, tab.drawing, **QUIET)
