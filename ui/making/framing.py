"""What a model will see of a picture or video: its size, and how it is cut to it."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from ui.making.form import Values
from ui.making.inputs import PICTURES
from ui.strings import Texts
from wan_core.catalog import find_model
from wan_core.catalog.sizing import SHAPED_BY, check_part, matching_size
from wan_core.media.fitting import cut, fit_frames, part_of, shown_box
from wan_core.media.read import MediaFacts, probe, read_clip, read_image
from wan_core.pipelines.conditioning.masks import outpaint_box
from wan_core.schema import GenerationRequest, MediaError
from wan_core.schema.crops import CropBox
from wan_core.schema.inputs import Fit

SHAPED = ("video", *PICTURES)
"""Inputs that are brought to the size of the clip."""

_SIDE, _WHOLE_SIDE, _REFERENCE_SIDE = 320, 640, 160
_UNSEEN = 0.005  # of a picture; so little cut away is not worth a word


@lru_cache(64)
def _facts(path: Path, changed: int) -> MediaFacts:
    return probe(path)


def facts_of(path: str) -> MediaFacts:
    """What a picture or video is; looked at once.

    Raises:
        MediaError: it cannot be used.
    """
    file = Path(path)
    return _facts(file, _changed(file))


def _changed(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError as error:
        raise MediaError(f"{file.name} is gone; choose the file again.") from error


@dataclass(frozen=True)
class Framed:
    """A picture or video that is brought to the clip's size; ``part`` of it, in shares, is used.

    ``cut_to`` is the aspect, width to height, that it is cut to, None where it is not cut. Where it
    ``leads``, the clip takes the aspect of the part, so nearly nothing is cut.
    """

    file: Path
    facts: MediaFacts
    part: CropBox | None
    cut_to: float | None
    leads: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the part, in pixels."""
        box = part_of((self.facts.height, self.facts.width), self.part)
        return box.height, box.width


def sized(request: GenerationRequest, values: Values, taken: set[str], inputs_dir: Path) -> GenerationRequest:
    """The request at the size that its video will have, given the files in the form.

    ``inputs_dir`` is where a video lies that is gone on from.

    Raises:
        MediaError: a file cannot be used.
        InvalidRequest: the part drawn on one is too small or too narrow.
    """
    before = _gone_on_from(values, taken)
    if before:  # what is joined has one size
        clip = facts_of(str(inputs_dir / before))
        return request.model_copy(update={"width": clip.width, "height": clip.height})
    given, leading = framed(request, values, taken), _leading(request, values, taken)
    for name, each in given.items():
        if each.part is not None:
            check_part(name, each.shape)
    if leading is None:
        return request
    return request.model_copy(update=matching_size(request, find_model(request.model), given[leading].shape))


def framed(request: GenerationRequest, values: Values, taken: set[str]) -> dict[str, Framed]:
    """What is given and brought to the clip's size, by its field; ``request`` is ``sized`` if aspects count.

    Raises:
        MediaError: a file cannot be used.
    """
    width, height = _inner_size(request)
    cut_to = width / height if request.fit == "crop" else None
    leading = _leading(request, values, taken)
    return {
        name: Framed(
            file=Path(values[name]),
            facts=facts_of(values[name]),
            part=request.crop_of(name),
            cut_to=cut_to,
            leads=name == leading,
        )
        for name in SHAPED
        if name in taken and values.get(name)
    }


def _gone_on_from(values: Values, taken: set[str]) -> str | None:
    return values.get("continues") if values.get("join") and "continues" in taken else None


def _leading(request: GenerationRequest, values: Values, taken: set[str]) -> str | None:
    """The input that the clip takes its shape from."""
    if not request.match_input or "match_input" not in taken or _gone_on_from(values, taken):
        return None
    return next((name for name in SHAPED_BY if name in taken and values.get(name)), None)


def told_html(request: GenerationRequest, given: Collection[Framed], texts: Texts) -> str:
    """How much the model will see of what is given; ``request`` is ``sized``."""
    if not given:
        return ""
    width, height = size = _inner_size(request)
    change = max(_change(each, size, request.fit) for each in given)
    words = (texts.seen_as if change > _UNSEEN else texts.seen_whole).format(
        width=width, height=height, change=texts.changes[request.fit].format(percent=round(change * 100))
    )
    return _caption(words)


def seen_html(request: GenerationRequest, given: Collection[Framed], start: float) -> str:
    """Pictures as the model will see them, where a frame drawn on them cannot show it.

    ``start``, in seconds, is where in a video to look.
    """
    size = _inner_size(request)
    if request.fit == "crop" or all(_change(each, size, request.fit) <= _UNSEEN for each in given):
        return ""
    return _row(_picture(each, _changed(each.file), size, request.fit, start) for each in given)


def references_html(files: Collection[Path], texts: Texts) -> str:
    """Small copies of pictures of who or what appears."""
    if not files:
        return ""
    return _caption(texts.seen_references) + _row(_reference(file, _changed(file)) for file in files)


def _inner_size(request: GenerationRequest) -> tuple[int, int]:
    """(width, height) of the part of the clip that shows what is given: all but what is painted around it."""
    width, height = request.width or 16, request.height or 16
    if request.mask_builder != "outpaint" or not request.outpaint:
        return width, height
    box = outpaint_box(request.outpaint, width, height)
    return box.width, box.height


def _change(given: Framed, size: tuple[int, int], fit: Fit) -> float:
    """The part of the picture that is cut away, or of the video that is border, or by how much it is bent."""
    height, width = given.shape
    if fit == "crop":
        left, top, right, bottom = shown_box((height, width), *size, fit)
        return 1 - (right - left) * (bottom - top) / (given.facts.width * given.facts.height)
    narrower, wider = sorted((width / height, size[0] / size[1]))
    return 1 - narrower / wider


def _caption(words: str) -> str:
    return f'<p class="caption">{escape(words)}</p>'


def _row(pictures: Iterable[str]) -> str:
    images = "".join(f'<img src="{source}" alt="">' for source in pictures)
    return f'<div class="thumbs">{images}</div>'


@lru_cache(64)
def _picture(given: Framed, changed: int, size: tuple[int, int], fit: Fit, start: float) -> str:
    """A small copy as the model sees it, as an address of its own content."""
    scale = min(_SIDE / max(size), 1.0)
    width, height = (max(round(side * scale), 1) for side in size)
    frame = cut(_frame(given.file, start), given.part)
    return _address(fit_frames([frame], width, height, fit)[0])


def whole_picture(given: Framed, start: float) -> str:
    """A small copy of a picture, or of a video's frame at ``start`` seconds, as an address of its content.

    Raises:
        MediaError: it cannot be read.
    """
    return _whole(given.file, _changed(given.file), start if given.facts.kind == "video" else 0.0)


@lru_cache(64)
def _whole(file: Path, changed: int, start: float) -> str:
    picture = Image.fromarray(_frame(file, start))
    picture.thumbnail((_WHOLE_SIDE, _WHOLE_SIDE))
    return _address(np.asarray(picture))


def _frame(file: Path, start: float) -> np.ndarray:
    if facts_of(str(file)).kind == "video":
        return read_clip(file, start=start, max_frames=1).frames[0]
    return read_image(file)


@lru_cache(64)
def _reference(file: Path, changed: int) -> str:
    picture = Image.fromarray(read_image(file))
    picture.thumbnail((_REFERENCE_SIDE, _REFERENCE_SIDE))
    return _address(np.asarray(picture))


def _address(frame: np.ndarray) -> str:
    content = io.BytesIO()
    Image.fromarray(frame).save(content, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"
