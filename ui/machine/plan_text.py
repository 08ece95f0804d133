"""How a model would run with the settings as they are: the planner's words."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
import psutil

from ui.context import Context
from wan_core.catalog import MODELS, find_model, resolve
from wan_core.jobs.job import Machine
from wan_core.manager.device_kinds import KINDS
from wan_core.manager.planner import Budget, plan_memory
from wan_core.schema import GenerationRequest


@dataclass(frozen=True)
class PlanText:
    """The components: which model, and how it runs."""

    model: gr.Dropdown
    words: gr.HTML

    @property
    def outputs(self) -> list[gr.components.Component]:
        return [self.model, self.words]

    def show(self, context: Context, model: str | None) -> list[Any]:
        """Values of ``outputs``; where no model is chosen, the largest that is here is."""
        machine, model = context.store.worker_status().machine, model or _largest(context)
        return [model, plan_html(context, model, machine) if machine else ""]


def build(context: Context) -> PlanText:
    """Lay it out."""
    model = gr.Dropdown(
        [(context.texts.model_title(spec.id), spec.id) for spec in MODELS.values()],
        value=None,
        label=context.texts.settings.plan_model,
        elem_id="settings-plan-model",
        elem_classes="field",
    )
    return PlanText(model, gr.HTML(elem_id="settings-plan", apply_default_css=False))


def _largest(context: Context) -> str:
    here = [spec for spec in MODELS.values() if context.has(spec)]
    return max(here, key=lambda spec: spec.dit.dim * spec.dit.num_layers, default=find_model("demo")).id


def plan_html(context: Context, model: str, machine: Machine) -> str:
    """The plan for the model's own size and length, and what is slow on such a device."""
    spec = find_model(model)
    request = resolve(GenerationRequest(model=model, task=spec.tasks[0]))
    plan = plan_memory(spec, request, budget_of(context, machine), context.settings)
    why, *lines = map(context.texts.said, plan.explain().splitlines())
    size = context.texts.settings.plan_for.format(
        width=request.width, height=request.height, frames=request.num_frames
    )
    kind = KINDS[machine.facts.kind]
    if kind.limits:
        lines.append(context.texts.said(f"{kind.title}: {kind.limits}"))
    listed = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<p class="caption">{escape(size)}</p><p class="why">{escape(why)}</p><ul>{listed}</ul>'


def budget_of(context: Context, machine: Machine) -> Budget:
    """What there is now; the device as its worker found it."""
    has_gpu = machine.facts.kind != "cpu"
    return Budget(
        machine.facts,
        machine.memory_total if has_gpu else 0,
        machine.memory_free if has_gpu else 0,
        psutil.virtual_memory().available,
        shutil.disk_usage(context.settings.home).free,
    )
