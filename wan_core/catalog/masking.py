"""Which masks, control videos and pictures fit together; asked before anything is loaded."""

from __future__ import annotations

from wan_core.schema import GenerationRequest, InvalidRequest

_NUMBERS = {"region": ("region",), "outpaint": ("outpaint",), "frames": ("kept_frames",)}
"""Fields that a builder cannot do without."""

_USES = {
    "none": (),
    "region": ("region",),
    "outpaint": ("outpaint",),
    "frames": ("kept_frames",),
    "before": ("kept_frames",),
    "after": ("kept_frames",),
}
_UNDRAWN = ("outpaint", "before", "after")
"""Builders whose new parts have no video behind them that a control could be drawn from."""


def check_masking(request: GenerationRequest) -> None:
    """Refuse what does not fit together among the inputs of a model that takes masks.

    Raises:
        InvalidRequest: naming the field at fault.
    """
    _check_presence(request)
    _check_builder(request)
    _check_joint(request)
    {"region": _check_region, "outpaint": _check_outpaint}.get(request.mask_builder, _check_frames)(request)


def _check_presence(request: GenerationRequest) -> None:
    if request.task == "control" and not (
        request.video or request.references or request.image or request.last_image
    ):
        raise InvalidRequest(
            "video", "nothing is given that could steer", "Give a video, a picture or references."
        )
    needing = {
        "mask": request.mask is not None,
        "mask_builder": request.mask_builder != "none",
        "preprocess": request.preprocess != "none",
    }
    for field, given in needing.items():
        if given and request.video is None:
            raise InvalidRequest(field, "there is no video that it could be for", "Give a video.")


def _check_builder(request: GenerationRequest) -> None:
    builder = request.mask_builder
    if builder != "none" and request.mask is not None:
        raise InvalidRequest("mask", f"a mask is also built from {builder!r}", "Leave one of the two out.")
    if builder in _UNDRAWN and request.preprocess != "none":
        raise InvalidRequest(
            "preprocess",
            f"{request.preprocess!r} has no video to be drawn from where {builder!r} makes something new",
            "Choose none.",
        )
    for field in _NUMBERS.get(builder, ()):
        if not getattr(request, field):
            raise InvalidRequest(field, f"the mask {builder!r} needs it and it is missing", "Give it.")
    for field in ("region", "outpaint", "kept_frames"):
        if getattr(request, field) and field not in _USES[builder]:
            raise InvalidRequest(field, f"the mask {builder!r} does not use it", "Leave it out.")


def _check_joint(request: GenerationRequest) -> None:
    """What is joined behind a video begins with its end."""
    if request.continues is None or request.mask_builder not in ("before", "after"):
        return
    if request.mask_builder == "before":
        raise InvalidRequest(
            "continues", "what is made before a video cannot be joined behind it", "Leave it out."
        )
    if request.continues != request.video or request.video_end is not None:
        raise InvalidRequest(
            "continues",
            "it is not the video that is extended at its end",
            "Give the same video for both, and no end of the part.",
        )
    if request.crop_of("video"):
        raise InvalidRequest(
            "crops",
            "a part of the video cannot be joined behind all of it",
            "Leave out the part of the video.",
        )


def _check_region(request: GenerationRequest) -> None:
    left, top, right, bottom = request.region
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise InvalidRequest(
            "region",
            f"{request.region} is no box of left, top, right, bottom inside the picture",
            "Try 0.25, 0.25, 0.75, 0.75.",
        )


def _check_outpaint(request: GenerationRequest) -> None:
    if not any(request.outpaint):
        raise InvalidRequest("outpaint", "nothing is added on any side", "Make one of its parts more than 0.")


def _check_frames(request: GenerationRequest) -> None:
    builder, kept, length = request.mask_builder, request.kept_frames, request.num_frames
    if not kept or length is None:
        return
    if builder == "frames":
        wrong = [index for index in kept if not -length <= index < length]
        if wrong:
            raise InvalidRequest(
                "kept_frames",
                f"there is no frame {wrong[0]} among {length}",
                f"Name frames from 0 to {length - 1}.",
            )
        return
    if len(kept) != 1 or not 1 <= kept[0] < length:
        raise InvalidRequest(
            "kept_frames",
            f"{kept} is no count of frames, less than {length}, that are taken over",
            f"Give one number from 1 to {length - 1}.",
        )
