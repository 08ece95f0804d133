"""What may be asked of a model, and what it is asked when nothing is said."""

from __future__ import annotations

import secrets

from wan_core.catalog.guiding import check_guidance
from wan_core.catalog.local import split, with_files
from wan_core.catalog.masking import check_masking
from wan_core.catalog.models import MODELS
from wan_core.catalog.spec import ModelSpec, SamplingDefaults
from wan_core.media.encoders import check_output
from wan_core.schema import GenerationRequest, InvalidRequest, knobs
from wan_core.schema.crops import Crops
from wan_core.schema.request import MAX_SEED

_HARMLESS = ("fit", "match_input")
"""How media are cut says nothing where there are none."""


def find_model(model_id: str) -> ModelSpec:
    """The row of ``model_id``, which may name a person's own files after an ``@``.

    Raises:
        InvalidRequest: naming the known models.
    """
    base, names = split(str(model_id))  # what is sent to us may be anything
    if base not in MODELS:
        raise InvalidRequest(
            "model", f"{base[:80]!r} is not a model of this studio", f"Choose one of {', '.join(MODELS)}."
        )
    return with_files(MODELS[base], names) if names else MODELS[base]


def is_known(model_id: str) -> bool:
    """Whether ``find_model`` knows it."""
    return split(model_id)[0] in MODELS


def resolve(request: GenerationRequest) -> GenerationRequest:
    """Fill in the model's defaults and draw the seed; the result decides the video completely."""
    spec = find_model(request.model)
    filled = {
        name: getattr(spec.defaults, name)
        for name in SamplingDefaults.__dataclass_fields__
        if getattr(request, name) is None
    }
    if request.shift is None:
        size = (filled.get(name, getattr(request, name)) for name in ("width", "height"))
        filled["shift"] = spec.shift_at(*size)
    sigmas = request.sigmas
    if sigmas is None and request.num_inference_steps in (None, spec.defaults.num_inference_steps):
        sigmas = spec.defaults.sigmas
    filled |= {"sigmas": sigmas, "num_inference_steps": len(sigmas)} if sigmas else {"sigmas": None}
    if request.task == "t2i":
        filled |= {"num_frames": 1, "windows": None}
    elif request.windows is not None:
        filled["windows"] = request.windows.settled(spec.defaults.num_frames)
    if request.seed == -1:
        filled["seed"] = secrets.randbelow(MAX_SEED + 1)
    return request.model_copy(update=filled)


def validate(request: GenerationRequest) -> ModelSpec:
    """Check a request against its model; fields left at ``None`` are the model's defaults and pass.

    Raises:
        InvalidRequest: naming the field, its value, and the nearest value that works.
    """
    spec = find_model(request.model)
    if request.task not in spec.tasks:
        raise InvalidRequest(
            "task", f"{spec.title} does not do {request.task!r}", f"It does {', '.join(spec.tasks)}."
        )
    if not request.prompt.strip():
        raise InvalidRequest("prompt", "the prompt is empty", "Describe what should be seen.")
    _validate_inputs(request, spec)
    _validate_frames(request, spec)
    _validate_windows(request, spec)
    check_output(request)
    check_guidance(request, spec)
    for name in ("width", "height"):
        size = getattr(request, name)
        if size is not None and size % spec.size_multiple:
            low = max(size // spec.size_multiple, 1) * spec.size_multiple
            raise InvalidRequest(
                name,
                f"{size} is not a multiple of {spec.size_multiple}",
                f"Try {low} or {low + spec.size_multiple}.",
            )
    return spec


def _validate_inputs(request: GenerationRequest, spec: ModelSpec) -> None:
    """What the task needs is there, and nothing else is."""
    takes = spec.inputs[request.task]
    for name, knob in knobs().items():
        if knob.group not in ("media", "steering"):
            continue
        value, default = getattr(request, name), GenerationRequest.model_fields[name].default
        if name in takes.required and value in (None, ()):
            raise InvalidRequest(name, f"{spec.title} needs it and it is missing", f"Give one: {knob.help}")
        if name not in takes.taken and name not in _HARMLESS and value != default:
            takers = [row.title for row in MODELS.values() if _takes(row, request, name)]
            other = f", or choose a model that takes it: {', '.join(takers)}" if takers else ""
            raise InvalidRequest(
                name, f"{spec.title} does not take it for this task", f"Leave it out{other}."
            )
    if 0 < takes.max_references < len(request.references):
        raise InvalidRequest(
            "references",
            f"{len(request.references)} pictures are more than {spec.title} can follow",
            f"Give up to {takes.max_references}.",
        )
    if request.video_end is not None and request.video_end <= request.video_start:
        raise InvalidRequest(
            "video_end",
            f"{request.video_end:g} s is not after the beginning at {request.video_start:g} s",
            f"Try {request.video_start + 1:g} or leave it empty.",
        )
    if request.control_end <= request.control_start:
        raise InvalidRequest(
            "control_end",
            f"{request.control_end:g} is not after the beginning at {request.control_start:g}",
            "Try 1.",
        )
    _validate_crops(request)
    if takes.conditioner == "vace":
        check_masking(request)


def _validate_crops(request: GenerationRequest) -> None:
    for field in Crops.model_fields:
        if request.crop_of(field) and not getattr(request, field):
            raise InvalidRequest(
                "crops",
                f"{field} is not given, so no part of it can be used",
                f"Give {field}, or leave its part out.",
            )


def _takes(spec: ModelSpec, request: GenerationRequest, name: str) -> bool:
    return request.task in spec.inputs and name in spec.inputs[request.task].taken


def _validate_frames(request: GenerationRequest, spec: ModelSpec) -> None:
    frames = request.num_frames
    if frames is None:
        return
    if request.task == "t2i" and frames != 1:
        raise InvalidRequest(
            "num_frames", f"{frames} frames are no single picture", "Leave it out, or say 1."
        )
    if request.task == "flf2v" and frames == 1:
        raise InvalidRequest("num_frames", "1 frame has no first and last", "Try 5.")
    if frames % 4 != 1:
        low = frames // 4 * 4 + 1 if frames % 4 else frames - 3
        raise InvalidRequest(
            "num_frames", f"{frames} is not 4n+1", f"Try {max(low, 1)} or {max(low, 1) + 4}."
        )
    if frames > spec.max_frames and request.windows is None:
        raise InvalidRequest(
            "num_frames",
            f"{frames} is longer than {spec.title} can make",
            f"It goes up to {spec.max_frames}, or further with Long video.",
        )


def _validate_windows(request: GenerationRequest, spec: ModelSpec) -> None:
    windows = request.windows
    if windows is None:
        return
    if (windows.frames or 0) > spec.max_frames:
        raise InvalidRequest(
            "windows",
            f"a window of {windows.frames} frames is longer than {spec.title} can make",
            f"It goes up to {spec.max_frames}.",
        )
    if windows.loops and request.continues:
        raise InvalidRequest(
            "windows", "what goes on from another video cannot be a loop", "Try static, or join nothing."
        )
