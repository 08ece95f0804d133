"""The size and the length of a clip that follows from media."""

from __future__ import annotations

from wan_core.catalog import ModelSpec
from wan_core.catalog.masking import check_masking
from wan_core.catalog.sizing import SHAPED_BY, check_part, matching_size
from wan_core.media.camera_poses import read_track
from wan_core.media.fitting import part_of
from wan_core.media.inputs import InputStore
from wan_core.media.read import MediaFacts, probe
from wan_core.pipelines.conditioning.masks import overlap
from wan_core.schema import GenerationRequest, InvalidRequest, knobs
from wan_core.schema.crops import Crops
from wan_core.schema.inputs import Given

_LONGER_THAN_VIDEO = ("before", "after")
"""Masks that make a clip longer than the video it is built on."""


def settle(
    request: GenerationRequest, spec: ModelSpec, inputs: InputStore
) -> tuple[GenerationRequest, tuple[str, ...]]:
    """A resolved request with the size and length that its media call for, and what to tell about it.

    A clip that continues another has its size and frame rate. Else, with ``match_input``, it has the
    shape of its video or picture, or of the part that is used of it, at the area that the request asks for
    (``matching_size``), if its model takes any shape. It is no longer than its video, unless it extends it:
    then ``kept_frames`` becomes the number of frames that are taken over. Settling what is settled changes
    nothing.

    Raises:
        MediaError: a file is gone or damaged.
        InvalidRequest: the video, or the part chosen of it, or the list of camera poses is too short, or
            a video that is continued has a size or frame rate that cannot be made, or a part that is used of
            a picture or video is too small or narrow.
    """
    changes: dict[str, object] = {"match_input": False}
    warnings: tuple[str, ...] = ()
    _check_parts(request, inputs)
    leading = next((given for given in map(request.given, SHAPED_BY) if given), None)
    if request.continues:
        before = probe(inputs.path(request.continues))
        _check_continued(before, spec)
        changes |= {"width": before.width, "height": before.height, "fps": round(before.fps)}
    elif leading and request.match_input and "match_input" in spec.inputs[request.task].taken:
        changes |= matching_size(request, spec, _shape(leading, inputs))
    request = request.model_copy(update=changes)
    if request.video:
        available = _available_frames(request, probe(inputs.path(request.video)))
        frames = (available - 1) // 4 * 4 + 1
        if request.mask_builder in _LONGER_THAN_VIDEO:
            taken = overlap(request.kept_frames, request.num_frames, available)
            request = request.model_copy(update={"kept_frames": (taken,)})
        elif frames < request.num_frames:
            warnings = (f"The video is shorter than {request.num_frames} frames; {frames} were made.",)
            request = request.model_copy(update={"num_frames": frames})
    if spec.inputs[request.task].conditioner == "vace":
        check_masking(request)
    if request.camera_poses:
        read_track(inputs.path(request.camera_poses)).first(request.num_frames)
    return request, warnings


def _shape(given: Given, inputs: InputStore) -> tuple[int, int]:
    """(height, width) of what is used of a file, in pixels."""
    facts = probe(inputs.path(given.name))
    part = part_of((facts.height, facts.width), given.part)
    return part.height, part.width


def _check_parts(request: GenerationRequest, inputs: InputStore) -> None:
    for field in Crops.model_fields:
        if request.crop_of(field):
            check_part(field, _shape(request.given(field), inputs))


def _check_continued(before: MediaFacts, spec: ModelSpec) -> None:
    """What is joined has one size and frame rate, so the first part's must be ones that can be made."""
    if before.width % spec.size_multiple or before.height % spec.size_multiple:
        raise InvalidRequest(
            "continues",
            f"its size {before.width}x{before.height} is not in multiples of {spec.size_multiple}",
            "Go on from a video that this studio made, or leave it out.",
        )
    rate = knobs()["fps"]
    if not rate.low <= round(before.fps) <= rate.high:
        raise InvalidRequest(
            "continues",
            f"it has {before.fps:g} frames a second",
            f"Go on from a video of {rate.low} to {rate.high}, or leave it out.",
        )


def repeated_frames(request: GenerationRequest) -> int:
    """Frames at the beginning of a settled clip that are the end of the one that it continues."""
    return request.kept_frames[0] if request.mask_builder == "after" else 1


def _available_frames(request: GenerationRequest, facts: MediaFacts) -> int:
    """Frames of the chosen part of a video at the clip's rate."""
    end = min(request.video_end or facts.seconds, facts.seconds)
    frames = round((end - request.video_start) * request.fps)
    if frames < 1:
        raise InvalidRequest(
            "video_start",
            f"{request.video_start:g} s is behind the end of the video ({facts.seconds:.1f} s)",
            "Begin earlier.",
        )
    return frames
