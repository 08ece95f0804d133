"""The Speed fold in Chromium, with the real worker: the control changes what is computed, and is told of."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect
from torch import Tensor

from tests.ui.conftest import OpenPage
from tests.ui.test_app import PATIENCE, App
from wan_core.jobs.job import Job, JobStatus
from wan_core.pipelines.latents import load_latents
from wan_core.schema import Settings

pytestmark = pytest.mark.browser

PROMPT = "a red circle moving left over the sky"


def test_a_step_cache_skips_steps_and_the_panel_says_so(tmp_path: Path, open_page: OpenPage) -> None:
    app = App(tmp_path)
    try:
        page = open_page(app.address)
        page.locator("#form-seed input").fill("5")
        page.locator("#form-prompt textarea").fill(PROMPT)
        page.locator("#form-generate").click()
        page.wait_for_selector('#status [data-status="done"]', timeout=PATIENCE)
        plain = app.newest()
        assert plain.result.warnings == () and plain.request.step_cache == "off"

        page.locator("#form-speed_fold > button").click()
        page.locator("#form-step_cache input").click()
        page.get_by_role("option", name="Fast", exact=True).click()
        page.locator("#form-generate").click()
        expect(page.locator("#status")).to_contain_text("of 20 steps were computed.", timeout=PATIENCE)
        cached = app.newest()
        assert cached.id != plain.id and cached.status is JobStatus.DONE
        assert cached.request.step_cache == "fast"
        computed, skipped = cached.result.warnings
        assert int(computed.split()[0]) + skipped.count(",") + 1 == 20
        latents = [latents_of(Settings(home=tmp_path), job) for job in (plain, cached)]
        assert latents[0].shape == latents[1].shape and not latents[0].equal(latents[1])
    finally:
        app.stop()


def latents_of(settings: Settings, job: Job) -> Tensor:
    return load_latents(settings.latents_dir / f"{job.id}.safetensors")[0]
