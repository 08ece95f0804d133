"""What the panel's stage shows of a job: its video, else the looping preview, else a quiet place.

Jobs that were asked for together stand side by side as tiles, see ``JobStore.siblings``.
``assets/js/panel.js`` puts them in their places and leaves alone what has not changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from html import escape
from math import ceil
from pathlib import Path
from typing import Any

from ui.links import link
from ui.strings import Texts
from wan_core.catalog import is_known, resolve
from wan_core.jobs.job import Job, JobStatus
from wan_core.media.exporting import is_picture as does_not_move
from wan_core.schema import GenerationRequest, GenerationResult, MediaError

PLAYED = (".mp4", ".webm")
_PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_SHOWN_AS_IMAGES = (*_PICTURE_SUFFIXES, ".gif")

_SMALL = 256
"""Pictures whose longer side is below this are enlarged with hard pixels."""

_COLUMNS = (1, 2, 2, 2, 3)
"""Tiles side by side, by how many there are less one; beyond that three."""


def is_picture(path: Path) -> bool:
    """Whether a result is a picture and no video; a WebP can be either."""
    if path.suffix != ".webp":
        return path.suffix in _PICTURE_SUFFIXES
    with suppress(MediaError):
        return does_not_move(path)
    return True


def shown(result: GenerationResult) -> Path:
    """What a browser can show of a result: of frames in a ZIP or a folder the poster."""
    can_show = result.video.suffix in (*_SHOWN_AS_IMAGES, *PLAYED)
    return result.video if can_show or result.thumbnail is None else result.thumbnail


def is_crisp(request: GenerationRequest) -> bool:
    """Whether a picture is so small that its pixels are enlarged as they are."""
    return max(size_of(request)) < _SMALL


def size_of(request: GenerationRequest) -> tuple[int, int]:
    """Width and height in pixels; of what is not known any more, those of a shape."""
    if request.width and request.height:
        return request.width, request.height
    request = resolve(request) if is_known(request.model) else request
    return request.width or 16, request.height or 9


def stage_of(job: Job | None, together: Sequence[Job], texts: Texts) -> dict[str, Any]:
    """What the script draws: ``tiles`` by id, how they stand, and the one ``chosen``."""
    if job is None or len(together) < 2:
        tiles = [{"id": job.id if job else "", "html": stage_html(job, texts)}]
        return {"tiles": tiles, "chosen": "", "columns": 1, "rows": 1, "ratio": 0}
    width, height = size_of(job.request)
    columns = _COLUMNS[min(len(together), len(_COLUMNS)) - 1]
    return {
        "tiles": [{"id": other.id, "html": tile_html(other, texts)} for other in together],
        "chosen": job.id,
        "columns": columns,
        "rows": ceil(len(together) / columns),
        "ratio": round(width / height, 4),
    }


def stage_html(job: Job | None, texts: Texts) -> str:
    """One job, or none, with the whole stage to itself."""
    if job is None:
        return (
            f'<div class="stage empty" data-key=""><p class="big">{escape(texts.nothing_yet)}</p>'
            f"<p>{escape(texts.nothing_yet_hint)}</p></div>"
        )
    content = _content(job, " controls")
    if content is None:
        words = texts.file_gone if job.status is JobStatus.DONE else texts.no_video
        return f'<div class="stage empty" data-key="{job.id}"><p>{escape(words)}</p></div>'
    return f"{_opening(job, '')}{content}</div>"


def tile_html(job: Job, texts: Texts) -> str:
    """One of several jobs; a click chooses it."""
    words = texts.panel
    content = _content(job, "") or '<div class="blank"></div>'
    name = escape(words.tile.format(seed=job.request.seed))
    tools = (
        f'<button type="button" class="pick" data-does="choose" data-job="{job.id}" aria-label="{name}" '
        f'title="{name}"></button>'
        f'<button type="button" class="enlarge" data-does="enlarge" data-job="{job.id}" '
        f'aria-label="{escape(words.enlarge)}" title="{escape(words.enlarge)}">⤢</button>'
    )
    return f'{_opening(job, " tile")}{content}<p class="said">{_said(job, texts)}</p>{tools}</div>'


def _opening(job: Job, more: str) -> str:
    width, height = size_of(job.request)
    crisp = " crisp" if is_crisp(job.request) else ""
    style = f"aspect-ratio:{width}/{height};--ratio:{width / height:.4f}"
    return f'<div class="stage{crisp}{more}" style="{style}" data-key="{job.id}" data-status="{job.status}">'


def _content(job: Job, controls: str) -> str | None:
    """The picture itself; None where there is none, and will be none."""
    prompt = escape(job.made.prompt[:300], quote=True)
    if job.result and (source := link(shown(job.result))):
        if shown(job.result).suffix in _SHOWN_AS_IMAGES:
            return f'<img class="picture" src="{source}" alt="{prompt}">'
        return f'<video src="{source}" title="{prompt}"{controls} loop autoplay muted playsinline></video>'
    if job.status is JobStatus.RUNNING and (source := link(job.preview)):
        return f'<img class="preview" src="{source}" alt="{prompt}">'
    return None if job.status.is_final else f'<div class="blank {job.status}"></div>'


def _said(job: Job, texts: Texts) -> str:
    """What stands on a tile: its seed, or how far it is, or why there is nothing to see."""
    if job.status is JobStatus.DONE:
        return escape(texts.seed.format(seed=job.request.seed))
    words = texts.statuses[job.status]
    if job.status is JobStatus.RUNNING and job.total:
        count = texts.panel.step_count.format(step=job.step, total=job.total)
        words = f"{texts.stages.get(job.stage or '', words)} {count if job.stage == 'denoise' else ''}"
    if job.status is JobStatus.FAILED and job.error:
        why = escape(texts.said(job.error))
        return f'<span class="why" title="{why}">{escape(words)}: {why}</span>'
    return escape(words.strip())
