"""The size of a clip that takes the shape of what is given. Imports no torch."""

from __future__ import annotations

from wan_core.catalog.spec import ModelSpec
from wan_core.media.fitting import fit_size, fit_vace_size
from wan_core.media.pictures import MAX_ASPECT, MIN_SIDE
from wan_core.schema import GenerationRequest, InvalidRequest

SHAPED_BY = ("video", "image")
"""The media that a clip takes its shape from, the first that there is."""


def check_part(field: str, shape: tuple[int, int]) -> None:
    """The part that is used of a picture or video has a ``shape`` (height, width) that a file may have.

    Raises:
        InvalidRequest: it is too small or too narrow.
    """
    height, width = shape
    if min(shape) < MIN_SIDE:
        raise InvalidRequest(
            "crops",
            f"the part of {field} has {width}x{height} pixels",
            f"Choose one of at least {MIN_SIDE}x{MIN_SIDE}.",
        )
    if max(shape) > MAX_ASPECT * min(shape):
        raise InvalidRequest(
            "crops",
            f"the part of {field} has {width}x{height} pixels",
            f"Choose one with sides of at most {MAX_ASPECT} to 1.",
        )


def matching_size(request: GenerationRequest, spec: ModelSpec, shape: tuple[int, int]) -> dict[str, int]:
    """Width and height that match a video or picture of ``shape`` (height, width) at the request's area.

    A VACE model's video has a rule of its own (spec 8), all else that of pictures (spec 7). What is painted
    around a video belongs to its shape.
    """
    height, width = shape
    if request.mask_builder == "outpaint" and request.outpaint:
        left, top, right, bottom = request.outpaint
        height, width = round(height * (1 + top + bottom)), round(width * (1 + left + right))
    area = (request.width or 0) * (request.height or 0)
    is_source = request.video is not None and spec.inputs[request.task].conditioner == "vace"
    rule = fit_vace_size if is_source else fit_size
    across, down = rule(area, (height, width), spec.size_multiple)
    return {"width": across, "height": down}
