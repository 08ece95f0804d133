"""Request fields -> components -> request. What a control is called and may hold comes from its knob."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import gradio as gr

from ui.making import choices, enlarging, loras, refining
from ui.making.uploads import OneOf
from ui.strings import Texts, title_of
from ui.tabs.plans import TabPlan
from wan_core.catalog import ModelSpec, SamplingDefaults, find_model, resolve
from wan_core.jobs.batch import expand, prompt_lines
from wan_core.media.encoders import unavailable, unavailable_format
from wan_core.schema import GenerationRequest, InvalidRequest, WanStudioError, knobs
from wan_core.schema.inputs import InputName
from wan_core.schema.windows import WindowOptions

SEEN_AS_CHOICES = ("width", "height", "upscaler")
"""Fields that the form shows as resolution and aspect ratio, and within the choice that enlarges."""

MODEL_BOUND = (
    "resolution",
    "aspect",
    "num_frames",
    "quality",
    "negative_prompt",
    "num_inference_steps",
    "guidance_scale",
    "shift",
    "scheduler",
    "fps",
)
"""Controls that take the model's own values when another model is chosen."""

WINDOWS = ("", "static", "uniform", "looped", "sliding fuse=linear")
"""What is offered for long videos; any other words of ``WindowOptions`` may be typed."""

MAX_VIDEOS = 8

_SHORTEST_CLIP, _LONGEST_CLIP = 17, 129
_WINDOWS_OFFERED = 8  # times the length that a model was made for

_OFFERED = {
    "num_inference_steps": (1, 100),
    "guidance_scale": (1, 12),
    "shift": (1, 20),
    "fps": (8, 30),
}
"""What sliders offer of what a request may hold."""

SLIDERS = ("num_frames", *_OFFERED)
"""Sliders whose ends depend on the model and the request shown, see ``slider_range``."""

_LONGEST_SLIDER = 1000

Values = Mapping[str, Any]
"""Name of a control -> what it holds."""


def fields(group: str) -> list[str]:
    """The request fields of a knob group that have a control of their own, in the request's order."""
    return [
        name
        for name, knob in knobs().items()
        if knob.group == group and name not in (*SEEN_AS_CHOICES, "task")
    ]


def choices_of(name: str) -> tuple[str, ...]:
    """What a field can be where it is one of a few words, else nothing; "" stands for None, unless that is
    the model's own, which the form fills in.
    """
    annotation = GenerationRequest.model_fields[name].annotation
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return parts
    words = next((get_args(part) for part in parts if get_origin(part) is Literal), ())
    filled_in = name in SamplingDefaults.__dataclass_fields__
    return words if filled_in or not words else ("", *words)


def control(name: str, value: Any, key: str, texts: Texts) -> gr.components.Component:
    """The component of one request field in the tab ``key``, by its type.

    A slider holds whatever a request may: Gradio refuses what is beyond its ends before any of our code
    can, and a page outlives the studio that narrowed them. What is offered is narrowed in the browser.
    """
    knob, kind = knobs()[name], GenerationRequest.model_fields[name].annotation
    common = {
        "value": value,
        "label": texts.names[name].label,
        "info": texts.names[name].help,
        "elem_id": f"{key}-{name}",
        "elem_classes": "field",
    }
    if name == "windows":
        titles = [(_title(name, word, texts), word) for word in WINDOWS]
        return OneOf(titles, **{**common, "value": shown_value(name, value)}, allow_custom_value=True)
    if name == "upscale":
        return OneOf(enlarging.choices(texts), **{**common, "value": str(value)}, allow_custom_value=True)
    if words := choices_of(name):
        titles = [(_title(name, word, texts), word) for word in words]
        return gr.Dropdown(titles, **{**common, "value": shown_value(name, value)})
    if kind is bool:
        return gr.Checkbox(**common)
    if str in (kind, *get_args(kind)):
        long = {"max_lines": 1} if name == "filename" else {"lines": 3, "max_lines": 8}
        return gr.Textbox(**long, **common)
    if value is None:  # gradio's Number shows and sends a 0 for nothing
        return gr.Textbox(max_lines=1, min_width=100, **{**common, "value": ""})
    if knob.high > _LONGEST_SLIDER:
        return gr.Number(min_width=100, **common)
    return gr.Slider(knob.low, knob.high, step=knob.step, buttons=[], **common)


def _title(name: str, word: str, texts: Texts) -> str:
    """What a choice is called; what this machine cannot do says so and is refused by ``validate``."""
    title = texts.titles.get(f"{name}:{word}") or title_of(word, texts.titles)
    missing = {"codec": unavailable, "video_format": unavailable_format}.get(name)
    return texts.title_absent.format(title=title) if missing and missing(word) else title


def shown_value(name: str, value: Any) -> Any:
    """A field's value as its control holds it: what may be left open is text, as it may be empty."""
    if value is None or isinstance(value, str | WindowOptions):
        return str(value or "")
    is_open = GenerationRequest.model_fields[name].default is None and not choices_of(name)
    return f"{value:g}" if is_open else value


def plain_fields() -> list[str]:
    """The request fields with a control in every tab: all but the task, the size, media, what steers, and
    what ``refining`` draws.
    """
    hidden = (*SEEN_AS_CHOICES, "task")
    return [
        name
        for name, knob in knobs().items()
        if name not in hidden and knob.group not in ("media", "steering", "guidance")
    ]


def default_values(spec: ModelSpec) -> dict[str, Any]:
    """What the model-bound controls hold when the model is chosen."""
    values = values_of(GenerationRequest(model=spec.id))
    return {name: value for name, value in values.items() if name in MODEL_BOUND}


def values_of(request: GenerationRequest) -> dict[str, Any]:
    """The values of what every tab has that give this request again; sizes become their nearest choice.

    Raises:
        InvalidRequest: if the request's model is no longer known.
    """
    spec = find_model(request.model)
    seed, windows, request = request.seed, request.windows, resolve(request)
    size = (request.width, request.height)
    return {
        **{name: getattr(request, name) for name in plain_fields()},
        "loras": loras.to_rows(request.loras),
        "guidance": refining.to_rows(request),
        "upscale": enlarging.to_value(request),
        "seed": seed,
        "windows": str(windows or ""),
        "resolution": choices.tier_of(size),
        "aspect": choices.aspect_of(size),
        "quality": choices.quality_of(spec, request.num_inference_steps),
        "videos": 1,
        "lines": False,
        "images": None,
    }


def to_request(plan: TabPlan, values: Values, inputs: Values | None = None) -> GenerationRequest:
    """The request that the form describes; not yet checked against its model.

    Args:
        plan: the tab that the form is of.
        values: what its controls hold.
        inputs: the request fields of what is given, see ``ui.making.inputs.to_fields``.

    Raises:
        InvalidRequest: naming the first field out of bounds.
    """
    spec = find_model(values["model"])
    width, height = choices.size_for(spec, values["resolution"], values["aspect"])
    filled = {name: values[name] for name in plain_fields() if not _left_open(name, values.get(name))}
    filled["loras"] = loras.to_field(values.get("loras"))
    filled |= refining.to_fields(values.get("guidance")) | enlarging.to_fields(values.get("upscale"))
    if values.get("quality") == choices.DRAFTS:
        filled["num_inference_steps"] = choices.steps_of(spec, choices.DRAFTS)
    task = plan.task(spec, values["num_frames"])
    given = {"task": task, "width": width, "height": height, **filled, **(inputs or {})}
    return GenerationRequest.parse(given)


def _left_open(name: str, value: Any) -> bool:
    """Whether a control leaves its field at None: a number that may be left open is an empty text then."""
    kinds = get_args(GenerationRequest.model_fields[name].annotation)
    return value is None or (value == "" and type(None) in kinds and str not in kinds)


def unkept(path: Path) -> InputName:
    """A name for a file that has not been kept, as long as nothing is made of it."""
    return f"{'0' * 32}.bin"


def awaiting(plan: TabPlan, request: GenerationRequest) -> GenerationRequest:
    """The request as if its prompt and the inputs that the model needs had been given already."""
    nothing = unkept(Path("nothing"))
    given = {name: nothing for name in plan.required(find_model(request.model)) if not getattr(request, name)}
    if "references" in given:
        given["references"] = (nothing,)
    return request.model_copy(update={**given, "prompt": request.prompt or "-"})


def several(
    request: GenerationRequest, count: int, lines: bool = False, pictures: Sequence[InputName] = ()
) -> list[GenerationRequest]:
    """The request, as often as wanted; a fixed seed counts up from video to video.

    With ``lines``, every line of the prompt is a prompt of its own, made that often. Each of ``pictures``
    begins videos of its own.

    Raises:
        InvalidRequest: the model cannot do it, the seeds end, or there are too many.
    """
    return expand(request, prompt_lines(request.prompt) if lines else (), pictures, count)


def times(values: Values) -> int:
    """How often each prompt is made: as often as asked for; drafts to pick from are several."""
    videos = int(values["videos"])
    return choices.DRAFTS_AT_ONCE if videos == 1 and values.get("quality") == choices.DRAFTS else videos


def pictures_of(plan: TabPlan, values: Values) -> list[Path]:
    """The files of several first pictures, where the task takes one."""
    takes = "image" in plan.asked(find_model(values["model"]), values["num_frames"])
    return [Path(path) for path in values.get("images") or ()] if takes else []


def videos_of(plan: TabPlan, values: Values) -> int:
    """How many videos the form asks for."""
    lines = len(prompt_lines(values["prompt"])) if values.get("lines") else 1
    return times(values) * max(lines, 1) * max(len(pictures_of(plan, values)), 1)


def sentence(error: WanStudioError, texts: Texts) -> str:
    """The error as the page says it, with the field's label in place of its name."""
    if not isinstance(error, InvalidRequest):
        return texts.said(str(error))
    name = texts.names[error.field].label if error.field in texts.names else error.field
    return texts.sentence.format(
        name=name, problem=texts.said(error.problem), remedy=texts.said(error.remedy)
    )


def clip_range(spec: ModelSpec) -> tuple[int, int]:
    """Shortest and longest clip offered, in frames (4n+1)."""
    shortest = min(_SHORTEST_CLIP, max(spec.defaults.num_frames // 8 * 4 + 1, 1))
    return shortest, min(_LONGEST_CLIP, spec.max_frames)


def frames_for(seconds: float, fps: float, spec: ModelSpec) -> int:
    """The clip (4n+1 frames) that a video of some length is changed into, no longer than was trained on."""
    whole = int(max(round(seconds * fps) - 1, 0)) // 4 * 4 + 1
    return min(max(whole, clip_range(spec)[0]), spec.defaults.num_frames)


def slider_range(
    name: str, spec: ModelSpec, value: float | None = None, pictures: bool = False, windows: bool = False
) -> tuple[float, float]:
    """Lowest and highest value that a slider of ``SLIDERS`` offers; wide enough for ``value``.

    ``pictures``: a clip may be a single frame. ``windows``: it may be longer than its model can see at once.
    """
    low, high = clip_range(spec) if name == "num_frames" else _OFFERED[name]
    if pictures and name == "num_frames":
        low = 1
    if windows and name == "num_frames":
        high = _WINDOWS_OFFERED * (spec.defaults.num_frames - 1) + 1
    return (low, high) if value is None else (min(low, value), max(high, value))


def all_tiers(plan: TabPlan) -> list[str]:
    """The resolutions of all models of a tab."""
    return list(dict.fromkeys(tier for spec in plan.models for tier in choices.sizes_by_choice(spec)))


def quality_choices(spec: ModelSpec, texts: Texts) -> list[tuple[str, str]]:
    """(title with the number of steps, quality)."""
    titles = {
        "draft": texts.quality_draft,
        "balanced": texts.quality_balanced,
        "best": texts.quality_best,
        choices.DRAFTS: texts.panel.drafts,
    }
    offered = {**choices.steps_for(spec), choices.DRAFTS: choices.steps_of(spec, choices.DRAFTS)}
    return [(titles[name].format(steps=steps), name) for name, steps in offered.items()]


def updates_for(spec: ModelSpec, values: Values, matched: bool, texts: Texts) -> dict[str, Any]:
    """Control -> its update, so that the form offers what the model can do and holds ``values``.

    ``matched``: the shape is that of what is given, so none is asked for.
    """
    table = choices.sizes_by_choice(spec)
    taken = choices.size_for(spec, values["resolution"], values["aspect"])
    tier, aspect = choices.tier_of(taken), choices.aspect_of(taken)
    extra: dict[str, dict[str, Any]] = {
        "resolution": {"choices": list(table), "value": tier, "visible": len(table) > 1},
        "aspect": {"choices": list(table[tier]), "value": aspect, "visible": asks_shape(spec, matched)},
        "quality": {"choices": quality_choices(spec, texts)},
    }
    return {name: gr.update(**{"value": value, **extra.get(name, {})}) for name, value in values.items()}


def asks_shape(spec: ModelSpec, matched: bool) -> bool:
    """Whether an aspect ratio is to be chosen."""
    return len(spec.sizes) > 1 and not matched
