"""The right-hand panel: live preview, progress, the finished video and what can be done with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from ui import units
from ui.context import Context
from ui.links import link
from ui.strings import Texts
from wan_core.catalog import find_model, is_known, resolve
from wan_core.jobs.job import Job, JobStatus
from wan_core.media.exporting import is_picture as does_not_move
from wan_core.schema import GenerationRequest, GenerationResult, MediaError, Stage

_PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_SHOWN_AS_IMAGES = (*_PICTURE_SUFFIXES, ".gif")
_PLAYED = (".mp4", ".webm")
_TAKING = ("i2v", "v2v", "control")
"""Tabs that a result can be sent to."""

_SMALL = 256
"""Pictures whose longer side is below this are enlarged with hard pixels."""

_SEED_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-seed]');
  if (button) trigger('take', { seed: button.dataset.seed });
});
"""
_CONFIRM = """(_, ...rest) => {{
  const prompt = document.querySelector('#status .prompt')?.textContent ?? '';
  return [confirm({question} + '\\n\\n' + prompt.slice(0, 200)), ...rest];
}}"""


@dataclass(frozen=True)
class Panel:
    """The components of the panel; the buttons get their listeners from the studio.

    ``again`` is there for a job that ended without a video and that can be helped, see ``Job.remedy``.
    """

    stage: gr.HTML
    status: gr.HTML
    again: gr.Button
    reuse: gr.Button
    download: gr.DownloadButton
    delete: gr.Button
    send: dict[str, gr.Button]
    notice: gr.HTML
    confirmed: gr.Checkbox
    confirm_js: str

    @property
    def outputs(self) -> list[gr.components.Component]:
        actions = [self.again, self.reuse, self.download, self.delete]
        return [self.stage, self.status, *actions, *self.send.values()]


def build(texts: Texts, tabs: Sequence[str]) -> Panel:
    """Lay the panel out inside the current column; ``tabs`` are the keys of those that there are."""
    stage = gr.HTML(elem_id="stage", apply_default_css=False)
    status = gr.HTML(elem_id="status", js_on_load=_SEED_JS, apply_default_css=False)
    with gr.Row(elem_id="actions"):
        again = gr.Button(visible=False, size="sm", variant="primary", elem_id="again", min_width=200)
        reuse = gr.Button(texts.reuse, size="sm", interactive=False, elem_id="reuse", min_width=100)
        download = gr.DownloadButton(
            texts.download, size="sm", interactive=False, elem_id="download", min_width=100
        )
        delete = gr.Button(texts.delete, size="sm", interactive=False, elem_id="delete", min_width=100)
    send = {key: texts.send_last_frame if key == "i2v" else texts.tabs[key] for key in _TAKING if key in tabs}
    with gr.Row(elem_id="send", visible=bool(send)):
        gr.HTML(f"<span>{escape(texts.send_to)}</span>", apply_default_css=False, elem_id="send-to")
        buttons = {
            key: gr.Button(words, size="sm", interactive=False, elem_id=f"send-{key}", min_width=90)
            for key, words in send.items()
        }
    return Panel(
        stage,
        status,
        again,
        reuse,
        download,
        delete,
        buttons,
        gr.HTML(elem_id="panel-notice", elem_classes="notice", apply_default_css=False),
        gr.Checkbox(visible=False),
        _CONFIRM.format(question=json.dumps(texts.confirm_delete)),
    )


def is_picture(path: Path) -> bool:
    """Whether a result is a picture and no video; a WebP can be either."""
    if path.suffix != ".webp":
        return path.suffix in _PICTURE_SUFFIXES
    with suppress(MediaError):
        return does_not_move(path)
    return True


def updates(job: Job | None, context: Context, send: Iterable[str]) -> list[Any]:
    """The values of ``Panel.outputs`` that show a job; ``send`` are the keys of the panel's ``send``."""
    texts = context.texts
    video = job.result.video if job and job.result and job.result.video.is_file() else None
    settled = job is not None and job.status.is_final
    return [
        stage_html(job, texts),
        status_html(job, context),
        _again_update(job, texts),
        gr.update(interactive=job is not None),
        gr.update(interactive=video is not None, value=video and str(video)),
        gr.update(interactive=settled),
        *(_send_update(key, video, texts) for key in send),
    ]


def _again_update(job: Job | None, texts: Texts) -> Any:
    if job is None or job.remedy is None:
        return gr.update(visible=False)
    return gr.update(visible=True, value=texts.remedies[job.remedy])


def _send_update(key: str, result: Path | None, texts: Texts) -> Any:
    if key != "i2v":
        return gr.update(interactive=result is not None and not is_picture(result))
    words = texts.send_picture if result is not None and is_picture(result) else texts.send_last_frame
    return gr.update(interactive=result is not None, value=words)


def _size(request: GenerationRequest) -> tuple[int, int]:
    if request.width and request.height:
        return request.width, request.height
    request = resolve(request) if is_known(request.model) else request
    return request.width or 16, request.height or 9


def _shown(result: GenerationResult) -> Path:
    """What a browser can show of a result: of frames in a ZIP or a folder the poster."""
    is_known = result.video.suffix in (*_SHOWN_AS_IMAGES, *_PLAYED)
    return result.video if is_known or result.thumbnail is None else result.thumbnail


def stage_html(job: Job | None, texts: Texts) -> str:
    """The picture: the video if there is one, else the looping preview, else a quiet placeholder."""
    if job is None:
        return (
            f'<div class="stage empty"><p class="big">{escape(texts.nothing_yet)}</p>'
            f"<p>{escape(texts.nothing_yet_hint)}</p></div>"
        )
    width, height = _size(job.request)
    style = f"aspect-ratio:{width}/{height};--ratio:{width / height:.4f}"
    crisp = " crisp" if max(width, height) < _SMALL else ""
    prompt = escape(job.request.prompt[:300], quote=True)
    if job.result and (source := link(_shown(job.result))) and _shown(job.result).suffix in _SHOWN_AS_IMAGES:
        content = f'<img class="picture" src="{source}" alt="{prompt}">'
    elif job.result and source:
        content = f'<video src="{source}" title="{prompt}" controls loop autoplay muted playsinline></video>'
    elif job.status is JobStatus.RUNNING and (source := link(job.preview)):
        content = f'<img class="preview" src="{source}" alt="{prompt}">'
    elif job.status.is_final:
        words = texts.file_gone if job.status is JobStatus.DONE else texts.no_video
        return f'<div class="stage empty" data-job="{job.id}"><p>{escape(words)}</p></div>'
    else:
        content = f'<div class="blank {job.status}"></div>'
    return f'<div class="stage{crisp}" style="{style}" data-job="{job.id}">{content}</div>'


def status_html(job: Job | None, context: Context) -> str:
    """What the job is doing, or what has become of it."""
    if job is None:
        return ""
    texts = context.texts
    body = _BODIES[job.status](job, context)
    prompt = escape(job.request.prompt)
    return (
        f'<div class="status {job.status}" data-status="{job.status}">{body}'
        f'<p class="prompt">{prompt}</p><p class="facts">{_facts(job, texts)}</p></div>'
    )


def _queued(job: Job, context: Context) -> str:
    ids = [other.id for other in context.store.queue()]
    before = ids.index(job.id) if job.id in ids else 0
    texts = context.texts
    text = texts.waiting_behind.format(count=before) if before else texts.waiting
    note = f'<p class="pace">{escape(job.message)}</p>' if job.message else ""
    return f'<p class="phase" role="status">{escape(text)}</p>{note}'


def _running(job: Job, context: Context) -> str:
    texts = context.texts
    phase = texts.stages.get(job.stage or "", texts.starting)
    if job.cancel_requested:
        phase = texts.stopping
    share = min(job.step / job.total, 1.0) if job.total else 0.0
    return (
        f'<div class="phase" role="status"><span>{escape(phase)}</span>'
        f'<span class="count">{escape(_count(job, texts))}</span></div>'
        f'<div class="bar" role="progressbar" aria-valuenow="{share * 100:.0f}">'
        f'<div style="width:{share:.1%}"></div></div>'
        f'<p class="pace">{escape(_pace(job, texts))}</p>'
    )


def _count(job: Job, texts: Texts) -> str:
    if not job.total:
        return ""
    if job.stage in (Stage.DOWNLOAD, Stage.LOAD):
        return texts.step_of.format(step=units.in_bytes(job.step), total=units.in_bytes(job.total))
    return texts.step_of.format(step=job.step, total=job.total)


def _pace(job: Job, texts: Texts) -> str:
    if job.message:
        return job.message
    parts = []
    if job.stage is Stage.DENOISE and job.seconds_per_step:
        parts.append(texts.per_step.format(seconds=units.in_seconds(job.seconds_per_step)))
    if job.seconds_left and job.step < job.total:
        parts.append(texts.time_left.format(time=units.in_time(job.seconds_left)))
    return " · ".join(parts)


def _done(job: Job, context: Context) -> str:
    warnings = job.result.warnings if job.result else ()
    return "".join(f'<p class="warning">{escape(words)}</p>' for words in warnings)


def _failed(job: Job, context: Context) -> str:
    return (
        f'<div class="alert" role="alert"><b>{escape(context.texts.failed)}.</b> '
        f"{escape(job.error or '')}</div>"
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
    """Model, size, length and the seed that was really used, as HTML."""
    request = job.result.request if job.result else job.request
    title = find_model(request.model).title if is_known(request.model) else request.model
    parts = [escape(title)]
    if request.width and request.height:
        parts.append(f"{request.width}×{request.height}")
    if request.num_frames and request.fps and request.task != "t2i":
        parts.append(texts.clip.format(seconds=units.in_seconds(request.num_frames / request.fps)))
    if request.seed != -1:
        parts.append(
            f'<button type="button" data-seed="{request.seed}" title="{escape(texts.take_seed)}">'
            f"{texts.seed.format(seed=request.seed)}</button>"
        )
    if job.result and job.result.seconds:
        parts.append(texts.took.format(time=units.in_time(sum(job.result.seconds.values()))))
    return " · ".join(parts)
