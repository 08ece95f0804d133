"""What the page shows of a job, as HTML, without a browser."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from ui import header
from ui.context import Context
from ui.links import link
from ui.listening import error_html, reporting
from ui.result import cards
from ui.result.stage import stage_html
from ui.result.status import status_html
from ui.strings import ENGLISH
from ui.studio import pick
from wan_core.jobs.job import Job, JobStatus, WorkerState, WorkerStatus
from wan_core.schema import GenerationRequest, GenerationResult, ProgressEvent, Stage, StoreError

HOSTILE = '"><script>alert(1)</script>'


def job(**changes: object) -> Job:
    request = GenerationRequest(prompt="a star", width=64, height=64, num_frames=17, fps=8, seed=5)
    return Job("ab12", 1, JobStatus.QUEUED, request, 1000.0, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", JobStatus)
def test_words_of_others_are_escaped_everywhere(context: Context, status: JobStatus) -> None:
    hostile = replace(
        job(error=HOSTILE, message=HOSTILE),
        status=status,
        request=GenerationRequest(prompt=HOSTILE, model=HOSTILE),
    )
    shown = [
        stage_html(hostile, ENGLISH),
        status_html(hostile, context),
        cards.row(hostile, {}, ENGLISH),
        cards.card(replace(hostile, tags=(HOSTILE,)), context),
    ]
    assert "<script" not in "".join(shown)


def test_a_running_job_tells_its_pace(context: Context) -> None:
    store = context.store
    job_id = store.submit(GenerationRequest(prompt="a star"))
    store.claim()
    store.report(job_id, ProgressEvent(stage=Stage.DENOISE, step=5, total=20, seconds=170.0))
    html = status_html(store.get(job_id), context)
    assert "Denoising" in html
    assert "5 of 20" in html
    assert "34 s per step · 8 min left" in html
    assert 'style="width:25.0%"' in html


def test_a_download_counts_bytes_and_passes_its_own_words_on(context: Context) -> None:
    event = {"stage": Stage.DOWNLOAD, "step": 5 * 10**9, "total": 10**10, "message": "20 MB/s, 4 min left"}
    html = status_html(replace(job(**event), status=JobStatus.RUNNING), context)
    assert "5.0 GB of 10.0 GB" in html
    assert "20 MB/s, 4 min left" in html


@pytest.mark.parametrize("error", [StoreError("The disk is full."), PermissionError("No <access>.")])
def test_a_handler_that_the_disk_fails_changes_only_the_notice(error: Exception) -> None:
    def fail(*_: object) -> list[object]:
        raise error

    with gr.Blocks():
        other, notice = gr.HTML(), gr.HTML()
    values = reporting(fail, [other, notice, other], notice, ENGLISH)("a", 1)
    assert values == [gr.skip(), error_html(str(error)), gr.skip()]


def test_warnings_stand_beside_the_finished_video(context: Context, tmp_path: Path) -> None:
    result = GenerationResult(
        video=tmp_path / "a.mp4",
        thumbnail=None,
        request=job().request,
        seconds={},
        peak_bytes=1,
        warnings=("No sound <here>.",),
    )
    html = status_html(replace(job(), status=JobStatus.DONE, result=result), context)
    assert '<p class="warning">No sound &lt;here&gt;.</p>' in html


def test_a_file_that_has_gone_is_said_and_not_linked(context: Context, tmp_path: Path) -> None:
    assert link(tmp_path / "gone.mp4") is None
    html = stage_html(replace(job(), status=JobStatus.DONE), ENGLISH)
    assert "no longer on disk" in html
    assert "<video" not in html


def test_a_link_changes_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a b.webp"
    file.write_bytes(b"1")
    os.utime(file, ns=(1, 1))
    first = link(file)
    os.utime(file, ns=(2, 2))
    assert first == f"gradio_api/file={tmp_path}/a%20b.webp?v=1"
    assert link(file) == first.replace("v=1", "v=2")


def test_the_panel_shows_the_pick_else_the_work_else_the_latest_end(context: Context) -> None:
    store = context.store
    assert pick(store, None) is None
    first, second = (store.submit(GenerationRequest(prompt=name)) for name in ("one", "two"))
    assert pick(store, None).id == first
    store.claim()
    store.cancel(second)
    store.fail(first, "Broken.")
    assert pick(store, None).id == first  # it ended after the other
    assert pick(store, second).id == second
    assert pick(store, "unknown").id == first


@pytest.mark.parametrize(
    ("status", "words", "can_unload"),
    [
        (WorkerStatus(), "Unloaded", False),
        (WorkerStatus(WorkerState.STARTING), "Starting", False),
        (WorkerStatus(WorkerState.IDLE), "Idle, nothing loaded", False),
        (WorkerStatus(WorkerState.IDLE, components={"vae": 10}), "Ready", True),
    ],
)
def test_the_header_follows_the_worker(
    context: Context, status: WorkerStatus, words: str, can_unload: bool
) -> None:
    context.store.beat(replace(status, memory_used=4 * 10**9, memory_total=16 * 10**9))
    html = header.line_html(context)
    assert f"</i>{words}</div>" in html
    assert "4.0 GB of 16.0 GB" in html
    assert header.can_unload(context) is can_unload
