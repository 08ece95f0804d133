"""What a model will see of a picture or video: its size, and how it is cut to it."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from ui.making.form import Values
from ui.making.inputs import PICTURES
from ui.strings import Texts
from wan_core.catalog import find_model
from wan_core.catalog.sizing import SHAPED_BY, matching_size
from wan_core.media.fitting import fit_frames, shown_box
from wan_core.media.read import MediaFacts, probe, read_clip, read_image
from wan_core.pipelines.conditioning.masks import outpaint_box
from wan_core.schema import GenerationRequest, MediaError
from wan_core.schema.inputs import Fit

SHAPED = ("video", *PICTURES)
"""Inputs that are brought to the size of the clip."""

_SIDE, _REFERENCE_SIDE = 320, 160
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


def sized(request: GenerationRequest, values: Values, taken: set[str], inputs_dir: Path) -> GenerationRequest:
    """The request at the size that its video will have, given the files in the form.

    ``inputs_dir`` is where a video lies that is gone on from.

    Raises:
        MediaError: a file cannot be used.
    """
    facts = {name: facts_of(values[name]) for name in SHAPED if name in taken and values.get(name)}
    before = values.get("continues") if values.get("join") and "continues" in taken else None
    if before:  # what is joined has one size
        clip = facts_of(str(inputs_dir / before))
        return request.model_copy(update={"width": clip.width, "height": clip.height})
    leading = next((facts[name] for name in SHAPED_BY if name in facts), None)
    if leading is None or not request.match_input or "match_input" not in taken:
        return request
    size = matching_size(request, find_model(request.model), (leading.height, leading.width))
    return request.model_copy(update=size)


def seen_html(request: GenerationRequest, values: Values, taken: set[str], texts: Texts) -> str:
    """The pictures, and the video's first frame, as the model will see them; ``request`` is ``sized``.

    Raises:
        MediaError: a file cannot be used.
    """
    width, height = _inner_size(request)
    start = float(values.get("video_start") or 0)
    given = [Path(values[name]) for name in SHAPED if name in taken and values.get(name)]
    parts = []
    if given:
        facts = [facts_of(str(file)) for file in given]
        change = max(_change(fact, (width, height), request.fit) for fact in facts)
        begins = [start if fact.kind == "video" else 0.0 for fact in facts]
        pictures = [
            _picture(file, _changed(file), (width, height), request.fit, begin)
            for file, begin in zip(given, begins, strict=True)
        ]
        words = (texts.seen_as if change > _UNSEEN else texts.seen_whole).format(
            width=width, height=height, change=texts.changes[request.fit].format(percent=round(change * 100))
        )
        parts.append(_row(words, pictures if change > _UNSEEN else []))
    references = [Path(path) for path in values.get("references") or ()] if "references" in taken else []
    if references:
        parts.append(_row(texts.seen_references, [_reference(file, _changed(file)) for file in references]))
    return "".join(parts)


def _inner_size(request: GenerationRequest) -> tuple[int, int]:
    """(width, height) of the part of the clip that shows what is given: all but what is painted around it."""
    width, height = request.width or 16, request.height or 16
    if request.mask_builder != "outpaint" or not request.outpaint:
        return width, height
    box = outpaint_box(request.outpaint, width, height)
    return box.width, box.height


def _change(facts: MediaFacts, size: tuple[int, int], fit: Fit) -> float:
    """The part of the picture that is cut away, or of the video that is border, or by how much it is bent."""
    if fit == "crop":
        left, top, right, bottom = shown_box((facts.height, facts.width), *size, fit)
        return 1 - (right - left) * (bottom - top) / (facts.width * facts.height)
    narrower, wider = sorted((facts.width / facts.height, size[0] / size[1]))
    return 1 - narrower / wider


def _row(words: str, pictures: list[str]) -> str:
    images = "".join(f'<img src="{source}" alt="">' for source in pictures)
    return f'<p class="caption">{escape(words)}</p><div class="thumbs">{images}</div>'


@lru_cache(64)
def _picture(file: Path, changed: int, size: tuple[int, int], fit: Fit, start: float) -> str:
    """A small copy as the model sees it, as an address of its own content."""
    if facts_of(str(file)).kind == "video":
        frame = read_clip(file, start=start, max_frames=1).frames[0]
    else:
        frame = read_image(file)
    scale = min(_SIDE / max(size), 1.0)
    width, height = (max(round(side * scale), 1) for side in size)
    return _address(fit_frames([frame], width, height, fit)[0])


@lru_cache(64)
def _reference(file: Path, changed: int) -> str:
    picture = Image.fromarray(read_image(file))
    picture.thumbnail((_REFERENCE_SIDE, _REFERENCE_SIDE))
    return _address(np.asarray(picture))


def _address(frame: np.ndarray) -> str:
    content = io.BytesIO()
    Image.fromarray(frame).save(content, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"
