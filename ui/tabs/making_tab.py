"""A tab that makes something: its components, and what a model or a request changes in them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import gradio as gr

from ui import choices, form, inputs, preflight, units
from ui.context import Context
from ui.examples import Example, inputs_for, pictures_of, prompts_for
from ui.listening import QUIET, error_html, note_html
from ui.strings import Texts
from ui.tabs.plans import TabPlan
from wan_core.catalog import ModelSpec, find_model
from wan_core.media.inputs import InputStore
from wan_core.schema import GenerationRequest, InvalidRequest

_LONGEST_CHIP, _LONG = 70, ' class="long"'
_NARROW_JS = """(...tabs) => tabs.flatMap((ends) => JSON.parse(ends)).map(
  (pair) => ({ __type__: 'update', ...pair }))"""


@dataclass
class MakingTab:
    """The tab's components: ``controls`` by name, in the order of the page; ``folds`` by ``FOLDS`` name."""

    context: Context
    plan: TabPlan
    controls: dict[str, gr.components.Component] = field(default_factory=dict)
    folds: dict[str, gr.Accordion] = field(default_factory=dict)
    folded: dict[str, list[str]] = field(default_factory=dict)
    parts: dict[str, gr.components.Component] = field(default_factory=dict)
    drawing: gr.ImageEditor | None = None

    @property
    def key(self) -> str:
        return self.plan.key

    @property
    def notice(self) -> gr.components.Component:
        return self.parts["notice"]

    @property
    def inputs(self) -> list[gr.components.Component]:
        """All controls; a handler gets their values in this order, see ``values``."""
        return list(self.controls.values())

    @property
    def outputs(self) -> dict[str, gr.components.Component]:
        """Name -> what ``model_updates`` and ``restore`` update; the notice is the last."""
        kept = ("sides_help", "world", "examples", "ends", "notice")
        folds = {f"fold-{name}": fold for name, fold in self.folds.items()}
        return {
            **self.controls,
            **folds,
            **{name: self.parts[name] for name in kept if name in self.parts},
        }

    @property
    def told(self) -> list[gr.components.Component]:
        """What ``tell`` updates."""
        return [self.parts["preflight"], self.controls["num_frames"]]

    @property
    def first_model(self) -> ModelSpec:
        """The model that the tab starts with: the one asked for, else the first that is there.

        Where none is there, it is the first that was made for what the tab does above all.
        """
        context, models = self.context, self.plan.models
        wanted = [spec for spec in models if spec.id == context.first_model]
        made_for_it = [spec for spec in models if spec.tasks[0] in self.plan.tasks]
        return next(iter([*wanted, *(spec for spec in models if context.has(spec)), *made_for_it, *models]))

    def offered_models(self) -> Any:
        """An update of the list of models, with the files that a person has by now."""
        return gr.update(choices=[(spec.title, spec.id) for spec in self.plan.models])

    def values(self, arguments: Iterable[Any]) -> dict[str, Any]:
        return dict(zip(self.controls, arguments, strict=True))

    def matches(self, spec: ModelSpec) -> bool:
        """Whether the video can take the shape of what is given."""
        return "match_input" in self.plan.taken(spec)

    def default_values(self, spec: ModelSpec) -> dict[str, Any]:
        """What the model-bound controls hold when the model is chosen."""
        values = form.values_of(GenerationRequest(model=spec.id))
        if self.matches(spec):
            values["aspect"] = choices.MATCH
        return {name: value for name, value in values.items() if name in form.MODEL_BOUND}

    def values_of(self, request: GenerationRequest) -> tuple[dict[str, Any], list[str]]:
        """The values of all controls that give a request again, and what cannot be given again.

        Raises:
            InvalidRequest: the request's model is not known any more.
        """
        spec = find_model(request.model)
        given, complaints = inputs.to_values(request, InputStore(self.context.settings.inputs_dir))
        values = {**form.values_of(request), **given}
        if self.matches(spec) and request.match_input:
            values["aspect"] = choices.MATCH
        else:
            complaints.extend(self._other_size(request, spec, values))
        return {name: value for name, value in values.items() if name in self.controls}, complaints

    def _other_size(self, request: GenerationRequest, spec: ModelSpec, values: form.Values) -> list[str]:
        """A sentence if the form offers no such size and takes the nearest."""
        taken = choices.size_for(spec, values["resolution"], values["aspect"])
        wanted = (request.width or taken[0], request.height or taken[1])
        if wanted == taken:
            return []
        wanted_words, taken_words = (f"{width}×{height}" for width, height in (wanted, taken))
        return [self.context.texts.other_size.format(wanted=wanted_words, taken=taken_words)]

    def model_updates(self, spec: ModelSpec, values: form.Values) -> dict[str, Any]:
        """Updates of ``outputs`` by name, but the notice: show ``values`` in a form that offers what
        ``spec`` can do. Controls not named keep what they hold.
        """
        texts, taken, required = self.context.texts, self.plan.taken(spec), self.plan.required(spec)
        updates = form.updates_for(spec, values, self.matches(spec), texts)
        seen = set(inputs.names(taken)) - inputs.JOINING
        if values.get("continues") and "continues" in taken:
            seen.add("join")
        seen -= inputs.BUILDING - inputs.building(values.get("mask_builder"))
        for name in inputs.names(self.plan.inputs):
            if name in self.controls and name != "continues":
                updates[name] = {**updates.get(name, gr.update()), "visible": name in seen}
        for name, held in self.folded.items():
            updates[f"fold-{name}"] = gr.update(
                visible=any(control in seen or control == "aspect" for control in held),
                open=bool(set(held) & set(inputs.names(required))),
            )
        return {
            **updates,
            "sides_help": gr.update(visible=bool(seen & set(inputs.SIDES))),
            "world": gr.update(visible=spec.folder is not None),
            "examples": examples_html(self.plan, spec, texts),
            "ends": self.slider_ends(spec, values),
        }

    def slider_ends(self, spec: ModelSpec, values: form.Values) -> str:
        """The ends of all of ``form.SLIDERS``, in their order, as the browser is to apply them."""
        pictures = "t2i" in self.plan.tasks_of(spec)
        ranges = [form.slider_range(name, spec, values.get(name), pictures) for name in form.SLIDERS]
        return json.dumps([{"minimum": low, "maximum": high} for low, high in ranges])

    def restore(self, request: GenerationRequest) -> dict[str, Any]:
        """The updates of ``outputs`` that put a request back into the form."""
        try:
            values, complaints = self.values_of(request)
            updates = self.model_updates(find_model(request.model), values)
            return {**updates, "notice": note_html(" ".join(complaints))}
        except InvalidRequest as error:
            return {"notice": error_html(form.sentence(error))}

    def in_order(self, updates: dict[str, Any]) -> list[Any]:
        """Updates by name -> the values of ``outputs``; what is not named stays."""
        return [updates.get(name, gr.skip()) for name in self.outputs]

    def tell(self, *arguments: Any) -> list[Any]:
        """The pre-flight line of the form as it stands, and the clip's length beside its slider."""
        values, texts = self.values(arguments), self.context.texts
        line = preflight.preflight_html(self.plan, values, self.context)
        frames, fps = values["num_frames"], values["fps"]
        words = texts.duration
        if frames == 1 and "t2i" in self.plan.tasks:
            words = texts.duration_picture
        elif frames and fps:
            seconds = units.in_seconds(frames / fps)
            words = texts.duration_of.format(seconds=seconds, frames=round(frames))
        return [line, gr.update(label=words)]

    def tell_after(self, event: Any) -> None:
        """Renew the pre-flight line once ``event`` has changed the form."""
        event.then(self.tell, self.inputs, self.told, **QUIET)

    def refit_after(self, event: Any) -> None:
        """``event`` has put another model or request into the form: fit the sliders' ends to it, and tell."""
        self.tell_after(self.narrow_after(event))

    def narrow_after(self, event: Any) -> Any:
        """Fit the sliders' ends to the form that ``event`` has filled."""
        return narrow_after(event, [self])


def narrow_after(event: Any, tabs: Sequence[MakingTab]) -> Any:
    """Fit the sliders' ends of some tabs to the forms that ``event`` has filled."""
    ends = [tab.parts["ends"] for tab in tabs]
    sliders = [tab.controls[name] for tab in tabs for name in form.SLIDERS]
    return event.then(None, ends, sliders, js=_NARROW_JS, **QUIET)


def examples_html(plan: TabPlan, spec: ModelSpec, texts: Texts) -> str:
    """What can be tried, as buttons: a prompt, and in a tab that needs files, files with it.

    Empty where there is none.
    """
    if plan.first:
        buttons = [_example_button(*each) for each in enumerate(inputs_for(spec, plan.key))]
    else:
        buttons = [_prompt_button(prompt) for prompt in prompts_for(spec)]
    if not buttons:
        return ""
    return f'<p class="caption">{escape(texts.examples)}</p><div class="chips">{"".join(buttons)}</div>'


def _prompt_button(prompt: str) -> str:
    long = _LONG if len(prompt.encode()) > _LONGEST_CHIP else ""
    return f'<button type="button"{long} title="{escape(prompt, quote=True)}">{escape(prompt)}</button>'


def _example_button(number: int, example: Example) -> str:
    pictures = "".join(
        f'<img src="data:image/png;base64,{b64encode(file.read_bytes()).decode()}" alt="">'
        for file in pictures_of(example)
    )
    words = escape(example["title"])
    prompt = escape(example["prompt"], quote=True)
    return f'<button type="button" data-number="{number}" title="{prompt}">{pictures}{words}</button>'
