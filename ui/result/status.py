"""What a job is doing, or what has become of it, as HTML."""

from __future__ import annotations

from html import escape

from ui import units
from ui.context import Context
from ui.result import cards
from ui.strings import Texts
from wan_core.jobs.job import Job, JobStatus
from wan_core.schema import Stage

_SETUP = (Stage.DOWNLOAD, Stage.LOAD)


def status_html(job: Job | None, context: Context) -> str:
    """The words below the stage."""
    if job is None:
        return ""
    texts = context.texts
    body = _BODIES[job.status](job, context)
    prompt = escape(job.made.prompt)
    return (
        f'<div class="status {job.status}" data-status="{job.status}">{body}'
        f'<p class="prompt">{prompt}</p><p class="facts">{_facts(job, texts)}</p></div>'
    )


def _queued(job: Job, context: Context) -> str:
    before, texts = context.store.jobs_before(job), context.texts
    text = texts.waiting_behind.format(count=before) if before else texts.waiting
    told = texts.said(job.message)
    if context.store.is_paused():
        text, told = texts.history.is_paused, texts.history.paused
    note = f'<p class="pace">{escape(told)}</p>' if told else ""
    return f'<p class="phase" role="status">{escape(text)}</p>{note}'


def _running(job: Job, context: Context) -> str:
    texts = context.texts
    phase = texts.stages.get(job.stage or "", texts.starting)
    pace = _pace(job, context)
    if context.store.is_paused():
        phase, pace = texts.history.is_paused, texts.history.paused_running
    if job.cancel_requested:
        phase = texts.stopping
    share = min(job.step / job.total, 1.0) if job.total else 0.0
    return (
        f'<div class="phase" role="status"><span>{escape(phase)}</span>'
        f'<span class="count">{escape(_count(job, texts))}</span></div>'
        f'<div class="bar" role="progressbar" aria-label="{escape(phase)}" '
        f'aria-valuenow="{share * 100:.0f}"><div style="width:{share:.1%}"></div></div>'
        f'<p class="pace">{escape(pace)}</p>'
    )


def _count(job: Job, texts: Texts) -> str:
    if not job.total:
        return ""
    if job.stage in _SETUP:
        return texts.step_of.format(step=units.in_bytes(job.step), total=units.in_bytes(job.total))
    return texts.step_of.format(step=job.step, total=job.total)


def _pace(job: Job, context: Context) -> str:
    parts, texts = [], context.texts
    if job.message:
        return texts.said(job.message)
    if job.stage is Stage.DENOISE and job.seconds_per_step:
        parts.append(texts.per_step.format(seconds=units.in_seconds(job.seconds_per_step)))
    if left := _time_left(job, context):
        parts.append(left)
    return " · ".join(parts)


def _time_left(job: Job, context: Context) -> str:
    """Until the video is there, as learnt from finished ones of this model on this machine.

    Until there are any it is a guess: of the steps still to go at the pace of those done, or, before the
    first, of what such a device does.
    """
    texts, forecast = context.texts, cards.forecasts([job], context).get(job.id)
    if forecast is not None and forecast.learnt:
        return texts.time_left.format(time=units.in_time(forecast.seconds, texts.time_units))
    seconds = job.seconds_left if job.stage not in _SETUP else None
    if not seconds and forecast is not None:
        seconds = forecast.seconds
    return texts.panel.left_guess.format(time=units.in_time(seconds, texts.time_units)) if seconds else ""


def _done(job: Job, context: Context) -> str:
    warnings = job.result.warnings if job.result else ()
    return "".join(f'<p class="warning">{escape(context.texts.said(words))}</p>' for words in warnings)


def _failed(job: Job, context: Context) -> str:
    return (
        f'<div class="alert" role="alert"><b>{escape(context.texts.failed)}.</b> '
        f"{escape(context.texts.said(job.error))}</div>"
    )


def _cancelled(job: Job, context: Context) -> str:
    return f'<p class="phase">{escape(context.texts.cancelled)}</p>'


_BODIES = {
    JobStatus.QUEUED: _queued,
    JobStatus.RUNNING: _running,
    JobStatus.DONE: _done,
    JobStatus.FAILED: _failed,
    JobStatus.CANCELLED: _cancelled,
}


def _facts(job: Job, texts: Texts) -> str:
    """Model, size, length, the seed that was really used, time and peak memory, as HTML."""
    request = job.made
    parts = [escape(texts.model_title(request.model))]
    if request.width and request.height:
        parts.append(f"{request.width}×{request.height}")
    if request.num_frames and request.fps and request.task != "t2i":
        parts.append(texts.clip.format(seconds=units.in_seconds(request.num_frames / request.fps)))
    if request.seed != -1:
        parts.append(
            f'<button type="button" data-does="take" data-seed="{request.seed}" '
            f'title="{escape(texts.take_seed)}">{texts.seed.format(seed=request.seed)}</button>'
        )
    if job.result and job.result.seconds:
        parts.append(
            texts.took.format(time=units.in_time(sum(job.result.seconds.values()), texts.time_units))
        )
    if job.result and job.result.peak_bytes > 1:
        parts.append(texts.panel.peak.format(size=units.in_bytes(job.result.peak_bytes)))
    return " · ".join(parts)
