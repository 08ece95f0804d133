"""The line above Generate: what pressing it would mean, told before it is pressed."""

from __future__ import annotations

from html import escape

from ui import form, units
from ui.context import Context
from wan_core.catalog import find_model, validate
from wan_core.schema import GenerationRequest, InvalidRequest
from wan_core.schema.request import Task


def preflight_html(task: Task, values: form.Values, context: Context) -> str:
    """Size, length, expected time and download of the form's request, or what is wrong with it."""
    try:
        request = form.to_request(task, {**values, "prompt": values["prompt"] or "-"})
        validate(request)
    except InvalidRequest as error:
        return error_html(form.sentence(error))
    facts = " · ".join(escape(fact) for fact in facts_of(request, int(values["videos"]), context))
    spec, texts = find_model(request.model), context.texts
    note = ""
    if (request.num_frames or 0) > spec.defaults.num_frames:
        words = texts.beyond_training.format(frames=spec.defaults.num_frames)
        note = f'<p class="note">{escape(words)}</p>'
    return f'<p class="facts">{facts}</p>{note}'


def facts_of(request: GenerationRequest, videos: int, context: Context) -> list[str]:
    """The parts of the line, for a request whose numbers are all filled in."""
    texts, spec = context.texts, find_model(request.model)
    facts = [f"{request.width}×{request.height}"]
    if request.num_frames and request.fps:
        facts.append(texts.clip.format(seconds=units.in_seconds(request.num_frames / request.fps)))
    if videos > 1:
        facts.append(texts.videos_count.format(count=videos))
    seconds = context.store.estimate_seconds(request)
    facts.append(texts.takes.format(time=units.in_time(seconds * videos)) if seconds else texts.takes_unknown)
    download = sum(context.weights.missing(spec).values())
    if download:
        facts.append(texts.to_download.format(size=units.in_bytes(download)))
    return facts


def error_html(words: str) -> str:
    """One sentence about what to change."""
    return f'<p class="alert" role="alert">{escape(words)}</p>' if words else ""


def note_html(words: str) -> str:
    """One sentence that is no complaint."""
    return f'<p class="note" role="status">{escape(words)}</p>' if words else ""
