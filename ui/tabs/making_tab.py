"""A tab that makes something: what it is given, besides the form that all such tabs share."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import gradio as gr

from ui.context import Context
from ui.making import choices, form, inputs
from ui.tabs.plans import TabPlan
from wan_core.catalog import ModelSpec, find_model
from wan_core.media.inputs import InputStore
from wan_core.schema import GenerationRequest


@dataclass
class MakingTab:
    """The tab's own components: ``controls`` by name, in the page's order; ``folds`` by ``FOLDS`` name."""

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
    def outputs(self) -> dict[str, gr.components.Component]:
        """Name -> what ``updates`` updates."""
        folds = {f"fold-{name}": fold for name, fold in self.folds.items()}
        helps = {name: part for name, part in self.parts.items() if name == "sides_help"}
        return {**self.controls, **folds, **helps}

    @property
    def first_model(self) -> ModelSpec:
        """The model that the tab starts with: the one asked for, else the first that is there.

        Where none is there, it is the first that was made for what the tab does above all.
        """
        context, models = self.context, self.plan.models
        wanted = [spec for spec in models if spec.id == context.first_model]
        made_for_it = [spec for spec in models if spec.tasks[0] in self.plan.tasks]
        return next(chain(wanted, filter(context.has, models), made_for_it, models))

    def default_values(self, spec: ModelSpec) -> dict[str, Any]:
        """What the model-bound controls hold when the model is chosen."""
        values = form.default_values(spec)
        if "match_input" in self.plan.taken(spec):
            values["match_input"] = True
        return values

    def values_of(self, request: GenerationRequest) -> tuple[dict[str, Any], list[str]]:
        """The values of the form's and the tab's controls that give a request again, and what cannot be
        given again.

        Raises:
            InvalidRequest: the request's model is not known any more.
        """
        spec = find_model(request.model)
        given, gone = inputs.to_values(request, InputStore(self.context.settings.inputs_dir))
        complaints = [self.context.texts.said(each) for each in gone]
        values = {**form.values_of(request), **given}
        if not ("match_input" in self.plan.taken(spec) and request.match_input):
            complaints.extend(self._other_size(request, spec, values))
        return values, complaints

    def _other_size(self, request: GenerationRequest, spec: ModelSpec, values: form.Values) -> list[str]:
        """A sentence if the form offers no such size and takes the nearest."""
        taken = choices.size_for(spec, values["resolution"], values["aspect"])
        wanted = (request.width or taken[0], request.height or taken[1])
        if wanted == taken:
            return []
        wanted_words, taken_words = (f"{width}×{height}" for width, height in (wanted, taken))
        return [self.context.texts.other_size.format(wanted=wanted_words, taken=taken_words)]

    def updates(self, spec: ModelSpec, values: form.Values) -> dict[str, Any]:
        """Updates of ``outputs``: show what ``spec`` takes, holding ``values``; others stay."""
        taken, required = self.plan.taken(spec), self.plan.required(spec)
        seen = set(inputs.names(taken)) - inputs.JOINING
        if values.get("continues") and "continues" in taken:
            seen.add("join")
        seen -= inputs.BUILDING - inputs.building(values.get("mask_builder"))
        updates = {}
        for name in self.controls:
            held = {"value": values[name]} if name in values else {}
            updates[name] = gr.update(**held, **({} if name in inputs.STAYING else {"visible": name in seen}))
        for name, held in self.folded.items():
            updates[f"fold-{name}"] = gr.update(
                visible=bool(seen & set(held)), open=bool(set(held) & set(inputs.names(required)))
            )
        if "sides_help" in self.parts:
            updates["sides_help"] = gr.update(visible=bool(seen & set(inputs.SIDES)))
        return updates
