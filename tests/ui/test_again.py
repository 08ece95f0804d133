"""What is offered on a job that ended for want of memory: in the panel, and in the history."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.ui.conftest import OpenPage, Studio
from tests.ui.fake import LARGE_PROMPT, UNDECODED_PROMPT
from tests.ui.test_page import generate, wait_until_done
from ui.context import Context
from ui.result import cards
from wan_core.jobs.job import Job, JobStatus
from wan_core.schema import GenerationRequest

JOB = Job("a", 1, JobStatus.FAILED, GenerationRequest(prompt="x"), 0.0, error="No room.")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Try again"),
        ({"lower": "blocks"}, "Try again with less memory"),
        ({"latents": "kept", "lower": "blocks"}, "Decode again"),
        ({"latents": "kept", "status": JobStatus.CANCELLED}, "Decode again"),
        ({"latents": "kept", "status": JobStatus.DONE}, None),
        ({"lower": "blocks", "status": JobStatus.QUEUED}, None),
    ],
)
def test_a_card_offers_what_helps(context: Context, changes: dict[str, object], words: str | None) -> None:
    page = cards.card(replace(JOB, **changes), context)
    assert ('data-does="again"' in page) == (words is not None)
    assert words is None or f'data-does="again" data-job="a">{words}</button>' in page


def test_one_click_runs_it_again(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    generate(page, LARGE_PROMPT)
    wait_until_done(page, "failed")
    assert "ran out of memory while denoising" in page.inner_text("#status .alert")
    assert page.inner_text("#again") == "Try again with less memory"
    page.click("#again")
    wait_until_done(page)
    page.wait_for_selector("#again", state="hidden")
    [job] = studio.context.store.list()
    assert (job.status, job.profile) == (JobStatus.DONE, "blocks")

    generate(page, UNDECODED_PROMPT)
    wait_until_done(page, "failed")
    assert page.inner_text("#again") == "Decode again"
    page.get_by_role("tab", name="Queue & History").click()
    page.click("#history .again")
    wait_until_done(page)
    assert [past.status for past in studio.context.store.list()] == [JobStatus.DONE] * 2
