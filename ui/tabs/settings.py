"""Settings: what the machine may use. Each is kept as soon as it is changed, and says when it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal, get_args, get_origin

import gradio as gr

from ui import units
from ui.context import Context
from ui.listening import QUIET, error_html, note_html, reporting
from ui.machine import enhancing, folders, plan_text
from ui.machine.keeping import keep, unsupported
from ui.strings import Texts
from ui.tabs.layout import headed
from wan_core.jobs.job import Machine
from wan_core.schema import Settings
from wan_core.schema.attention import ATTENTION_TITLES, fastest
from wan_core.schema.schemes import SCHEMES
from wan_core.schema.settings import setting_knobs

_GROUPS = {
    "memory": ("profile", "vram_limit_gib", "vram_buffer_gib"),
    "precision": ("precision", "fp16_accumulation", "text_encoder"),
    "speed": ("attention", "compile"),
    "decoding": ("vae_tiling", "vae_tile"),
    "idle": ("idle_unload_minutes",),
}
"""Which controls stand together; folders have a list of their own."""

_OF_THE_GPU = ("profile", "vram_limit_gib", "vram_buffer_gib")
"""Settings that change nothing without a GPU."""


_LONGEST_SLIDER = 1024


@dataclass(frozen=True)
class SettingsTab:
    """The tab's components; ``controls`` are named by their setting."""

    context: Context
    notice: gr.HTML
    controls: dict[str, gr.components.Component]
    device: gr.HTML
    refused: gr.HTML
    slow: gr.HTML
    folders: folders.FolderList
    plan: plan_text.PlanText

    @property
    def outputs(self) -> list[gr.components.Component]:
        own = [self.notice, *self.controls.values(), self.device, self.refused, self.slow]
        return [*own, self.folders.list, self.folders.text, *self.plan.outputs]

    def show(self, model: str | None, notice: str | None = None, text: str = "") -> list[Any]:
        """Everything as it is kept: values of ``outputs``. Without a notice, what was wrong with the file."""
        context = self.context
        settings, machine = context.settings, context.store.worker_status().machine
        return [
            error_html(context.texts.said(context.kept.notice)) if notice is None else notice,
            *[_update(name, settings, machine, context.texts) for name in self.controls],
            _device_html(machine, context.texts),
            _refused_html(machine, context.texts),
            _slow_html(machine, context.texts),
            folders.folders_html(settings, context.texts),
            text,
            *self.plan.show(context, model),
        ]

    def show_changed(self, name: str, value: Any, model: str | None, notice: str) -> list[Any]:
        """After a setting was changed to ``value``. The other controls stay: somebody may be typing in one.

        So does its own if it was kept as it was given: by now it may have been changed once more.
        """
        shown = list(zip(self.outputs, self.show(model, notice), strict=True))
        own = next(update["value"] for output, update in shown if output is self.controls[name])
        others = [control for other, control in self.controls.items() if other != name or own == value]
        typed = [*others, self.folders.text, *([] if notice else [self.notice])]
        return [gr.skip() if output in typed else update for output, update in shown]


def build(context: Context) -> SettingsTab:
    """Lay the tab out."""
    texts, settings = context.texts, context.settings
    machine = context.store.worker_status().machine
    notice = gr.HTML(elem_id="settings-notice", apply_default_css=False)
    controls: dict[str, gr.components.Component] = {}
    for group, names in _GROUPS.items():
        with headed(texts.settings.groups[group]):
            if group == "memory":
                device = gr.HTML(elem_id="settings-device", apply_default_css=False)
            for name in names:
                controls[name] = _control(name, settings, machine, texts)
            if group == "precision":
                refused = gr.HTML(elem_id="settings-refused", apply_default_css=False)
            if group == "speed":
                slow = gr.HTML(elem_id="settings-slow", apply_default_css=False)
    with headed(texts.settings.folders):
        listed = folders.build(context, "settings")
    with headed(texts.settings.plan):
        plan = plan_text.build(context)
    enhancing.build(context)
    return SettingsTab(context, notice, controls, device, refused, slow, listed, plan)


def connect(tab: SettingsTab, selected: Any) -> None:
    """Show what is kept when the tab is opened; keep what is changed."""
    context, model = tab.context, tab.plan.model

    def show(model: str) -> list[Any]:
        return tab.show(model)

    def change(name: str) -> Any:
        def kept(value: Any, model: str) -> list[Any]:
            notice = keep(context, name, value)
            return tab.show_changed(name, value, model, notice)

        return kept

    def add(text: str, model: str) -> list[Any]:
        notice, text = folders.add(context, text)
        return tab.show(model, notice, text)

    def remove(model: str, event: gr.EventData) -> list[Any]:
        return tab.show(model, folders.remove(context, str(event.folder)))

    def on(events: Sequence[Any], handler: Any, inputs: Any, **how: Any) -> None:
        reported = reporting(handler, tab.outputs, tab.notice, tab.context.texts)
        gr.on(list(events), reported, inputs, tab.outputs, **how, **QUIET)

    on([selected, model.input], show, model, trigger_mode="always_last")
    for name, control in tab.controls.items():
        on(_finished(control), change(name), [control, model], trigger_mode="always_last")
    on([tab.folders.add.click, tab.folders.text.submit], add, [tab.folders.text, model])
    reported = reporting(remove, tab.outputs, tab.notice, tab.context.texts)
    tab.folders.list.remove(reported, model, tab.outputs, **QUIET)


def _finished(control: gr.components.Component) -> list[Any]:
    """The events of somebody having chosen a value, not those on the way to it."""
    if isinstance(control, gr.Slider):
        return [control.release]
    if isinstance(control, gr.Textbox | gr.Number):
        return [control.submit, control.blur]
    return [control.input]


def _control(name: str, settings: Settings, machine: Machine | None, texts: Texts) -> Any:
    """The component of a setting, by its type."""
    knob, kind = setting_knobs()[name], Settings.model_fields[name].annotation
    common = {
        "value": _shown(name, settings),
        "label": texts.settings.names[name].label,
        "info": f"{texts.settings.names[name].help} {texts.settings.effects[knob.effect]}",
        "elem_id": f"settings-{name}",
        "elem_classes": "field",
    }
    if get_origin(kind) is Literal:
        choices = _choices(name, machine, texts, common["value"])
        few = len(get_args(kind)) <= 4
        return gr.Radio(choices, **common) if few else gr.Dropdown(choices, **common)
    if Settings.model_fields[name].default is None:  # gradio's Number shows and sends a 0 for nothing
        return gr.Textbox(max_lines=1, **common)
    if knob.high > _LONGEST_SLIDER:
        return gr.Number(step=knob.step, **common)
    return gr.Slider(knob.low, knob.high, step=knob.step, buttons=[], **common)


def _update(name: str, settings: Settings, machine: Machine | None, texts: Texts) -> dict[str, Any]:
    changes: dict[str, Any] = {"value": _shown(name, settings)}
    if get_origin(Settings.model_fields[name].annotation) is Literal:
        changes["choices"] = _choices(name, machine, texts, changes["value"])
    if name in _OF_THE_GPU:
        changes["interactive"] = _may_have_gpu(machine)
    return gr.update(**changes)


def _shown(name: str, settings: Settings) -> Any:
    value = getattr(settings, name)
    if Settings.model_fields[name].default is None:
        return "" if value is None else f"{value:g}"
    return value


def _choices(name: str, machine: Machine | None, texts: Texts, now: str) -> list[tuple[str, str]]:
    """(title, value) of what a setting can be on this device, and of what it is."""
    titles = texts.settings.choices[name]
    values = get_args(Settings.model_fields[name].annotation)
    values = [value for value in values if value == now or not unsupported(name, value, machine)]
    if name == "text_encoder" and not _may_have_gpu(machine):
        values = [value for value in values if value != "gpu" or value == now]
    if name == "attention" and machine is not None:
        titles = {value: _with_time(value, machine.attention_seconds, texts) for value in values}
    return [(titles.get(value) or SCHEMES[value].title, value) for value in values]


def _with_time(value: str, seconds: dict[str, float], texts: Texts) -> str:
    """A kernel and how long it took on this device; Auto with what it takes."""
    words, titles = texts.settings, texts.settings.choices["attention"]
    chosen = fastest(seconds) if value == "auto" else value
    if chosen not in seconds:
        return titles[value]
    time = units.in_milliseconds(seconds[chosen])
    if value != "auto":
        return words.attention_time.format(title=titles[value], time=time)
    name = words.torchs_choice if chosen == "auto" else titles[chosen]
    return words.attention_auto.format(title=titles[value], chosen=name, time=time)


def _may_have_gpu(machine: Machine | None) -> bool:
    return machine is None or machine.facts.kind != "cpu"


def _device_html(machine: Machine | None, texts: Texts) -> str:
    if machine is None:
        return note_html(texts.settings.looking)
    return "" if _may_have_gpu(machine) else note_html(texts.settings.no_gpu)


def _refused_html(machine: Machine | None, texts: Texts) -> str:
    """The precisions that this device cannot do, each with its reason; remarks on the others."""
    if machine is None:
        return ""
    values = get_args(Settings.model_fields["precision"].annotation)
    schemes = [SCHEMES[value] for value in values if value in SCHEMES]
    refused = [(scheme.title, unsupported("precision", scheme.id, machine)) for scheme in schemes]
    summing = texts.settings.names["fp16_accumulation"].label
    refused.append((summing, unsupported("fp16_accumulation", "on", machine)))
    return _greyed_html(refused, [scheme.remark(machine.facts) for scheme in schemes], texts)


def _slow_html(machine: Machine | None, texts: Texts) -> str:
    """What would be faster and failed its trial on this device, each with its reason."""
    values = get_args(Settings.model_fields["attention"].annotation)
    refused = [(ATTENTION_TITLES[value], unsupported("attention", value, machine)) for value in values]
    compiling = texts.settings.names["compile"].label
    refused.append((compiling, unsupported("compile", "on", machine)))
    graphs = texts.settings.choices["compile"]["graphs"]
    refused.append((f"{compiling}: {graphs}", unsupported("compile", "graphs", machine)))
    return _greyed_html(refused, [], texts)


def _greyed_html(
    refused: Sequence[tuple[str, str | None]], remarks: Sequence[str | None], texts: Texts
) -> str:
    """(title, why not) of each; those of one reason share a line."""
    reasons: dict[str, list[str]] = {}
    for title, reason in refused:
        if reason:
            reasons.setdefault(reason, []).append(f"<s>{escape(title)}</s>")
    listed = "".join(
        f"<li>{' · '.join(names)} {escape(texts.said(reason))}</li>" for reason, names in reasons.items()
    )
    said = "".join(f"<li>{escape(texts.said(words))}</li>" for words in remarks if words)
    heading = f'<p class="caption">{escape(texts.settings.unsupported)}</p>' if reasons else ""
    return f'{heading}<ul class="greyed">{listed}{said}</ul>' if listed or said else ""
