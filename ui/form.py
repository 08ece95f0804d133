"""Request fields -> components -> request. What a control is called and may hold comes from its knob."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import gradio as gr

from ui import choices
from ui.strings import Texts
from wan_core.catalog import MODELS, ModelSpec, find_model, resolve, validate
from wan_core.schema import GenerationRequest, InvalidRequest, knobs
from wan_core.schema.request import Task

SEEN_AS_CHOICES = ("width", "height")
"""Fields that the form shows as resolution and aspect ratio."""

FORM_ONLY = ("resolution", "aspect", "quality", "videos")
"""Controls that are no field of a request."""

MODEL_BOUND = (
    "resolution",
    "aspect",
    "num_frames",
    "quality",
    "negative_prompt",
    "num_inference_steps",
    "guidance_scale",
    "shift",
    "fps",
)
"""Controls that take the model's own values when another model is chosen."""

MAX_VIDEOS = 8

_SHORTEST_CLIP, _LONGEST_CLIP = 17, 129

_OFFERED = {
    "num_inference_steps": (1, 100),
    "guidance_scale": (1, 12),
    "shift": (1, 20),
    "fps": (8, 30),
}
"""What sliders offer of what a request may hold."""

SLIDERS = ("num_frames", *_OFFERED)
"""Sliders whose ends depend on the model and the request shown, see ``slider_range``."""

_SCHEDULER_TITLES = {"unipc": "UniPC", "dpm++": "DPM++", "euler": "Euler", "lcm": "LCM"}

Values = Mapping[str, Any]
"""Name of a control -> what it holds."""


def fields(group: str) -> list[str]:
    """The request fields of a knob group that have a control of their own, in the request's order."""
    return [
        name
        for name, knob in knobs().items()
        if knob.group == group and name not in (*SEEN_AS_CHOICES, "task")
    ]


def _types(name: str) -> tuple[Any, ...]:
    annotation = GenerationRequest.model_fields[name].annotation
    return get_args(annotation) or (annotation,)


def control(name: str, value: Any) -> gr.components.Component:
    """The component of one request field, by its type.

    A slider holds whatever a request may: Gradio refuses what is beyond its ends before any of our code
    can, and a page outlives the studio that narrowed them. What is offered is narrowed in the browser.
    """
    knob, types = knobs()[name], _types(name)
    common = {"value": value, "label": knob.label, "info": knob.help, "elem_id": f"field-{name}"}
    if isinstance(types[0], str):
        return gr.Dropdown([(_SCHEDULER_TITLES.get(choice, choice), choice) for choice in types], **common)
    if types[0] is bool:
        return gr.Checkbox(**common)
    if types[0] is str:
        return gr.Textbox(lines=3, max_lines=8, **common)
    return gr.Slider(knob.low, knob.high, step=knob.step, buttons=[], **common)


def model_choices(task: Task) -> list[tuple[str, str]]:
    """(title, id) of the models that do a task."""
    return [(spec.title, spec.id) for spec in MODELS.values() if task in spec.tasks]


def default_values(spec: ModelSpec) -> dict[str, Any]:
    """What the model-bound controls hold when the model is chosen."""
    values = values_of(GenerationRequest(model=spec.id))
    return {name: value for name, value in values.items() if name in MODEL_BOUND}


def values_of(request: GenerationRequest) -> dict[str, Any]:
    """The control values that give this request again (sizes become their nearest choice).

    Raises:
        InvalidRequest: if the request's model is no longer known.
    """
    spec = find_model(request.model)
    seed, request = request.seed, resolve(request)
    size = (request.width, request.height)
    return {
        **{name: getattr(request, name) for name in knobs() if name not in (*SEEN_AS_CHOICES, "task")},
        "seed": seed,
        "resolution": choices.tier_of(size),
        "aspect": choices.aspect_of(size),
        "quality": choices.quality_of(spec, request.num_inference_steps),
        "videos": 1,
    }


def to_request(task: Task, values: Values) -> GenerationRequest:
    """The request that the form describes; not yet checked against its model.

    Raises:
        InvalidRequest: naming the first field out of bounds.
    """
    spec = find_model(values["model"])
    width, height = choices.size_for(spec, values["resolution"], values["aspect"])
    filled = {name: value for name, value in values.items() if name not in FORM_ONLY and value is not None}
    return GenerationRequest.parse({"task": task, "width": width, "height": height, **filled})


def to_requests(task: Task, values: Values) -> list[GenerationRequest]:
    """One checked request per video wanted; a fixed seed counts up from video to video.

    Raises:
        InvalidRequest: naming the first field at fault.
    """
    request = to_request(task, values)
    validate(request)
    if request.seed == -1:
        return [request] * int(values["videos"])
    return [
        GenerationRequest.parse({**request.model_dump(), "seed": request.seed + number})
        for number in range(int(values["videos"]))
    ]


def sentence(error: InvalidRequest) -> str:
    """The error as the page says it, with the field's label in place of its name."""
    knob = knobs().get(error.field)
    return f"{knob.label if knob else error.field}: {error.problem}. {error.remedy}"


def clip_range(spec: ModelSpec) -> tuple[int, int]:
    """Shortest and longest clip offered, in frames (4n+1)."""
    shortest = min(_SHORTEST_CLIP, max(spec.defaults.num_frames // 8 * 4 + 1, 1))
    return shortest, min(_LONGEST_CLIP, spec.max_frames)


def slider_range(name: str, spec: ModelSpec, value: float | None = None) -> tuple[float, float]:
    """Lowest and highest value that a slider of ``SLIDERS`` offers; wide enough for ``value``."""
    low, high = clip_range(spec) if name == "num_frames" else _OFFERED[name]
    return (low, high) if value is None else (min(low, value), max(high, value))


def all_tiers(task: Task) -> list[str]:
    """The resolutions of all models of a task."""
    tiers = [tier for _, model in model_choices(task) for tier in choices.sizes_by_choice(MODELS[model])]
    return list(dict.fromkeys(tiers))


def quality_choices(spec: ModelSpec, texts: Texts) -> list[tuple[str, str]]:
    """(title with the number of steps, quality)."""
    titles = {
        "draft": texts.quality_draft,
        "balanced": texts.quality_balanced,
        "best": texts.quality_best,
    }
    return [(titles[name].format(steps=steps), name) for name, steps in choices.steps_for(spec).items()]


def updates_for(spec: ModelSpec, values: Values, texts: Texts) -> dict[str, Any]:
    """Control -> its update, so that the form offers what the model can do and holds ``values``."""
    table = choices.sizes_by_choice(spec)
    taken = choices.size_for(spec, values["resolution"], values["aspect"])
    tier, aspect = choices.tier_of(taken), choices.aspect_of(taken)
    extra: dict[str, dict[str, Any]] = {
        "resolution": {"choices": list(table), "value": tier, "visible": len(spec.sizes) > 1},
        "aspect": {"choices": list(table[tier]), "value": aspect, "visible": len(spec.sizes) > 1},
        "quality": {"choices": quality_choices(spec, texts)},
    }
    return {name: gr.update(**{"value": value, **extra.get(name, {})}) for name, value in values.items()}
