"""The bench: the tabs that make something, and the one form that they share.

A tab has what it is given of its own. Prompt, model and all that every tab asks for stand below the strip
once; what they hold for the tabs out of sight waits in ``forms``. Whatever is put into the form goes the same
way: a handler writes the updates into ``filling`` as text, and the browser itself applies them. So it can
leave alone what a person has changed meanwhile, and narrow sliders without Gradio refusing what a request
may hold.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import gradio as gr

from ui import units
from ui.context import Context
from ui.links import link
from ui.listening import QUIET, error_html, note_html
from ui.making import enlarging, form, inputs, preflight, seeing
from ui.making.example_chips import examples_html
from ui.making.uploads import in_browser
from ui.tabs.making_tab import MakingTab
from wan_core.catalog import ModelSpec, find_model
from wan_core.schema import GenerationRequest, InvalidRequest

_FILL_JS = "(filling, ...stands) => window.wanStudio.fill(JSON.parse(filling), ...stands)"
_SETTLE_JS = "(active) => window.wanStudio.settle(active)"
_SLEEP_JS = "() => window.wanStudio.sleep()"
PULSES = {"switch": "select", "measure": "measure", "look": "focus", "tell": "submit"}
"""What the page's own script may set off: the form follows to a tab or a video's length, ``see``, ``tell``.

Each under an event that the line above Generate has no use for; ``gradio.on`` knows only Gradio's own.
"""
TELL_JS = "() => window.wanStudio.pulses.tell()"
LOOK_JS = "() => window.wanStudio.pulses.look()"
"""Asks for what ``tell`` says, and for what ``see`` says and then ``tell``, of the form as it stands."""
_ANYTHING: Mapping[str, str] = MappingProxyType({})
_PLACED = ("world", "examples", "notice")
"""Parts of the form, besides its controls, that a filling updates."""

Kept = Literal["", "prompt", "all"]
Updates = dict[str, Any]
"""Name of an output of ``Bench`` -> its update."""


@dataclass(frozen=True)
class Reading:
    """What a handler is told: the tab in sight, what the form holds, and what each tab is given."""

    tab: MakingTab
    shared: Mapping[str, Any]
    own: Mapping[str, Mapping[str, Any]]

    @property
    def values(self) -> dict[str, Any]:
        """The values of all controls that meet the eye or are folded in the tab in sight."""
        return {**self.shared, **self.own[self.tab.key]}

    @property
    def about(self) -> dict[str, str]:
        """What the form stood for, see ``Bench.fill``."""
        return {"tab": self.tab.key, "model": self.shared["model"]}

    @property
    def spec(self) -> ModelSpec:
        """The model chosen.

        Raises:
            InvalidRequest: it is not known any more.
        """
        return find_model(self.shared["model"])


@dataclass
class Bench:
    """``controls`` and ``parts`` of the form by name; ``active`` is the key of the tab in sight.

    ``forms`` holds, by a tab's key, what the form held when the tab was left: name -> value. ``editing`` is
    the waiting job that Generate will change instead of queueing another, see ``ui.making.editing``.
    """

    context: Context
    tabs: dict[str, MakingTab]
    active: gr.Textbox
    forms: gr.State
    filling: gr.Textbox
    editing: gr.Textbox
    controls: dict[str, gr.components.Component] = field(default_factory=dict)
    parts: dict[str, gr.components.Component] = field(default_factory=dict)

    @property
    def notice(self) -> gr.components.Component:
        return self.parts["notice"]

    @property
    def inputs(self) -> list[gr.components.Component]:
        """What a handler is called with that wants a ``Reading``, see ``read``."""
        own = [part for tab in self.tabs.values() for part in tab.controls.values()]
        return [self.active, *self.controls.values(), *own]

    @property
    def outputs(self) -> dict[str, gr.components.Component]:
        """Name -> what a filling updates: "form-prompt", "i2v-image" ..."""
        own = {f"{key}-{name}": part for key, tab in self.tabs.items() for name, part in tab.outputs.items()}
        placed = {name: self.parts[name] for name in _PLACED}
        return {**{f"form-{name}": part for name, part in {**self.controls, **placed}.items()}, **own}

    @property
    def pulses(self) -> dict[str, Any]:
        """The listeners of ``PULSES``."""
        return {name: getattr(self.parts["preflight"], event) for name, event in PULSES.items()}

    @property
    def told(self) -> list[gr.components.Component]:
        """What ``tell`` updates."""
        return [self.parts["preflight"], self.controls["num_frames"]]

    def read(self, arguments: Sequence[Any]) -> Reading:
        """The values of ``inputs``, sorted."""
        active, *rest = arguments
        values = iter(rest)
        shared = dict(zip(self.controls, values, strict=False))
        own = {key: {name: next(values) for name in tab.controls} for key, tab in self.tabs.items()}
        return Reading(self.tabs[active], shared, own)

    def updates(self, tab: MakingTab, spec: ModelSpec, values: form.Values) -> Updates:
        """Show ``values`` in a form that offers what ``spec`` can do in a tab.

        What is given in the tab and not named in ``values`` stays.
        """
        texts, plan = self.context.texts, tab.plan
        matched = "match_input" in plan.taken(spec) and bool(values.get("match_input"))
        shared = {name: value for name, value in values.items() if name in self.controls}
        updates = form.updates_for(spec, shared, matched, texts)
        pictures = "t2i" in plan.tasks_of(spec)
        for name in form.SLIDERS:
            low, high = form.slider_range(name, spec, values.get(name), pictures, bool(values.get("windows")))
            updates[name] = {**updates.get(name, gr.update()), "minimum": low, "maximum": high}
        updates["num_frames"]["info"] = texts.picture_help if pictures else ""
        updates["model"] = gr.update(
            choices=[(texts.model_title(row.id), row.id) for row in plan.models], value=spec.id
        )
        for name in ("image_format", "images", *_PLACED[:2]):
            updates.setdefault(name, gr.update())
        updates["upscale"] = {**updates.get("upscale", gr.update()), **enlarging.offer(self.context)}
        updates["images"]["visible"] = "image" in plan.taken(spec)
        updates["image_format"]["visible"] = "image_format" in plan.taken(spec)
        updates["world"]["visible"] = spec.folder is not None
        examples = examples_html(plan, spec, texts)
        updates["examples"] = gr.update(value=examples, visible=bool(examples))
        own = tab.updates(spec, values)
        return {
            **{f"form-{name}": update for name, update in updates.items()},
            **{f"{tab.key}-{name}": update for name, update in own.items()},
        }

    def restore(self, tab: MakingTab, request: GenerationRequest) -> Updates:
        """The updates that put a request back into a tab."""
        try:
            values, complaints = tab.values_of(request)
            updates = self.updates(tab, find_model(request.model), values)
            return {**updates, "form-notice": note_html(" ".join(complaints))}
        except InvalidRequest as error:
            return {"form-notice": error_html(form.sentence(error, self.context.texts))}

    def held(self, tab: MakingTab, forms: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
        """What stands in a tab that may be out of sight, but for its files, which stay where they are.

        A form that was never seen holds its first model's own values, and the prompt.
        """
        own = {name: value for name, value in reading.own[tab.key].items() if name not in inputs.FILES}
        if tab is reading.tab:
            return {**own, **reading.shared}
        if tab.key in forms:
            return {**own, **forms[tab.key]}
        spec = tab.first_model
        values = {**form.values_of(GenerationRequest(model=spec.id)), **tab.default_values(spec)}
        return {**values, **own, "prompt": reading.shared["prompt"]}

    def left(self, forms: Mapping[str, Any] | None, reading: Reading) -> dict[str, Any]:
        """``forms``, once the tab in sight is left."""
        return {**(forms or {}), reading.tab.key: dict(reading.shared)}

    def fill(
        self, updates: Updates, *, about: Mapping[str, str] = _ANYTHING, kept: Kept = "", goes: str = ""
    ) -> str:
        """The text that has the browser apply some updates of ``outputs``, once.

        Args:
            updates: by name.
            about: the tab, and the model, resolution and shift where they matter, that they were made for,
                see ``Reading.about``: what the form does not stand for any more is not filled in.
            kept: what stays if a person has changed it since the page or the tab was opened: nothing, the
                prompt, or anything (once more than the prompt was chosen, the whole form, as its parts depend
                on each other).
            goes: the tab that the page goes to with it.
        """
        told = [
            (name, in_browser(updates[name], part, link) if name in updates else None)
            for name, part in self.outputs.items()
        ]
        how = {"kept": kept, "about": dict(about), "goes": goes}
        return json.dumps({"id": secrets.token_hex(8), **how, "updates": told})

    def filled_after(self, event: Any) -> None:
        """Apply what ``event`` has put into ``filling`` and let Generate be clicked; then the line tells."""
        filled = [*self.outputs.values(), self.parts["generate"]]
        stands = (self.controls[name] for name in ("model", "resolution", "shift"))
        shown = event.then(None, [self.filling, self.active, *stands], filled, js=_FILL_JS, **QUIET)
        shown.then(None, self.active, None, js=_SETTLE_JS, **QUIET)

    @property
    def seen(self) -> dict[str, gr.components.Component]:
        """Key of a tab -> where it shows what the model sees; what ``see`` updates."""
        return {key: tab.controls["crops"] for key, tab in self.tabs.items() if "crops" in tab.controls}

    def see(self, *arguments: Any) -> list[Any]:
        """What the model sees of what is given in the tab in sight."""
        reading = self.read(arguments)
        try:
            told = seeing.value(reading.tab.plan, reading.spec, reading.values, self.context)
        except InvalidRequest:  # a model file that has gone meanwhile
            told = gr.skip()
        return [told if key == reading.tab.key else gr.skip() for key in self.seen]

    def tell(self, *arguments: Any) -> list[Any]:
        """The pre-flight line of the form as it stands, and the clip's length beside its slider."""
        reading, texts = self.read(arguments), self.context.texts
        plan, values = reading.tab.plan, reading.values
        line = preflight.preflight_html(plan, values, self.context)
        frames, fps = values["num_frames"], values["fps"]
        words = texts.duration
        if frames == 1 and "t2i" in plan.tasks:
            words = texts.duration_picture
        elif frames and fps:
            words = texts.duration_of.format(seconds=units.in_seconds(frames / fps), frames=round(frames))
        return [line, gr.update(label=words)]

    def asleep_on(self, listen: Any) -> None:
        """Generate waits from that event on, until what ``filled_after`` hears of is in the form."""
        listen(None, None, self.parts["generate"], js=_SLEEP_JS, **QUIET)

    def fill_on(self, listen: Any, choose: Callable[[Reading, ModelSpec], Updates], *named: str) -> None:
        """``choose`` tells what else in the form a choice changes; the last one counts.

        ``named`` is what was chosen besides a tab and a model, see ``fill``.
        """

        def chosen(*arguments: Any) -> str:
            reading = self.read(arguments)
            try:
                about = {**reading.about, **{name: reading.shared[name] for name in named}}
                return self.fill(choose(reading, reading.spec), about=about)
            except InvalidRequest as error:  # a model file that has gone meanwhile
                return self.fill({"form-notice": error_html(form.sentence(error, self.context.texts))})

        self.filled_after(listen(chosen, self.inputs, self.filling, trigger_mode="always_last", **QUIET))

    def tell_after(self, event: Any) -> None:
        """Renew the pre-flight line once ``event`` has changed the form."""
        event.then(None, None, None, js=TELL_JS, **QUIET)
