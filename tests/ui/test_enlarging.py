"""The choice that enlarges: Lanczos, upscalers by name, what is missing; from the form to the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.jobs.test_store import result_of
from tests.ui.conftest import OpenPage, Studio, make_context, open_studio
from tests.ui.test_page import wait_until_done
from ui.making import enlarging, expecting, form, guess, preflight
from ui.strings import CHINESE, ENGLISH
from ui.tabs.plans import TABS
from wan_core.catalog.demo import DEMO
from wan_core.jobs.job import WorkerState, WorkerStatus
from wan_core.schema import GenerationRequest, InvalidRequest, Settings

T2V = TABS[0]
FILES = ("4x-ultra.safetensors", "own/net.pth")


def fill(home: Path) -> Settings:
    """A home with two upscalers that nobody opens here."""
    settings = Settings(home=home)
    for name in FILES:
        (settings.upscalers_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (settings.upscalers_dir / name).write_bytes(b"\0" * 4000)
    return settings


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("ui.making.enlarging", "wan_core.upscaling.shelf"):
        monkeypatch.setattr(f"{module}.is_installed", lambda: True)


@pytest.mark.parametrize(
    ("upscale", "upscaler", "value"),
    [(1, "", "1"), (2.5, "", "2.5"), (4, "own/a net x4.pth", "4 own/a net x4.pth"), (1, "a.pth", "1 a.pth")],
)
def test_one_text_stands_for_both_fields(upscale: float, upscaler: str, value: str) -> None:
    request = GenerationRequest(upscale=upscale, upscaler=upscaler)
    assert enlarging.to_value(request) == value
    assert enlarging.to_fields(value) == {"upscale": upscale, "upscaler": upscaler}


def test_what_is_typed_is_read_kindly_or_refused() -> None:
    assert enlarging.to_fields("3×") == {"upscale": 3, "upscaler": ""}
    assert enlarging.to_fields(None) == {"upscale": 1, "upscaler": ""}
    with pytest.raises(InvalidRequest, match="'large' is no number"):
        enlarging.to_fields("large")
    values = {**form.values_of(GenerationRequest()), "prompt": "a", "upscale": "9"}
    with pytest.raises(InvalidRequest, match="upscale"):
        form.to_request(T2V, values)
    assert form.to_request(T2V, {**values, "upscale": "2 a.pth"}).upscaler == "a.pth"


def test_upscalers_are_offered_as_their_names_say(tmp_path: Path, installed: None) -> None:
    offered = enlarging.choices(ENGLISH, fill(tmp_path))
    assert offered[:3] == [("Off", "1"), ("1.5× by Lanczos", "1.5"), ("2× by Lanczos", "2")]
    assert offered[7:] == [
        ("2× by 4x-ultra.safetensors", "2 4x-ultra.safetensors"),
        ("4× by 4x-ultra.safetensors", "4 4x-ultra.safetensors"),
        ("2× by own/net.pth", "2 own/net.pth"),
        ("4× by own/net.pth", "4 own/net.pth"),
    ]
    assert enlarging.choices(CHINESE)[1] == ("1.5×，Lanczos", "1.5")


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = make_context(tmp_path)
    monkeypatch.setattr(enlarging, "is_installed", lambda: False)
    told = enlarging.offer(context)["info"]
    assert "pip install --no-deps spandrel einops" in told
    assert f"Put learnt upscalers (.safetensors or .pth) into {tmp_path / 'upscalers'}." in told
    fill(tmp_path)
    assert enlarging.offer(context)["choices"][-1][0] == "4× by own/net.pth (not on this machine)"
    monkeypatch.setattr(enlarging, "is_installed", lambda: True)
    assert enlarging.offer(context)["info"] == ENGLISH.names["upscale"].help


def test_the_line_above_generate_knows_of_it(tmp_path: Path, installed: None) -> None:
    context = make_context(tmp_path)
    values = {**form.values_of(GenerationRequest()), "prompt": "a", "upscale": "2 gone.pth"}
    line = preflight.preflight_html(T2V, values, context)
    assert "gone.pth" in line
    assert "is not in any folder of upscalers" in line
    fill(tmp_path)
    assert "alert" not in preflight.preflight_html(T2V, {**values, "upscale": "2 own/net.pth"}, context)
    request = GenerationRequest(width=64, height=64, num_frames=5, fps=8)
    seconds = guess.guess_upscaling(request, 4000, "CPU")
    assert seconds == pytest.approx(2 * 1000 * 5 * 64 * 64 / 0.05e12)
    smoother = request.model_copy(update={"interpolate_fps": 16})
    assert guess.guess_upscaling(smoother, 4000, "CPU") == pytest.approx(seconds * 9 / 5)
    assert DEMO.id == values["model"]


def test_a_guess_is_what_is_learnt_and_what_the_upscaler_takes_besides(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    fill(tmp_path)
    context.store.beat(WorkerStatus(WorkerState.IDLE, device="CPU"))
    plain = GenerationRequest(prompt="a", width=64, height=64, num_frames=5, fps=8)
    enlarged = plain.model_copy(update={"upscale": 2.0, "upscaler": "own/net.pth"})
    upscaling = guess.guess_upscaling(enlarged, 4000, "CPU")
    before = expecting.guessed_seconds(plain, context)
    assert expecting.guessed_seconds(enlarged, context) == pytest.approx(before + upscaling)
    job_id = context.store.submit(plain)
    context.store.claim()
    context.store.finish(job_id, result_of(context.settings, job_id, {"denoise": 7.0}))
    assert expecting.guessed_seconds(enlarged, context) == pytest.approx(7 + upscaling)
    assert expecting.guessed_seconds(enlarged.model_copy(update={"model": "gone"}), context) is None


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    home = tmp_path_factory.mktemp("enlarging")
    fill(home)
    opened = open_studio(home)
    yield opened
    opened.close()


def choose(page: Page, title: str) -> None:
    box = page.locator("#form-upscale input")
    box.click()
    page.get_by_role("option", name=title, exact=True).click()
    expect(box).to_have_value(title)


@pytest.mark.browser
@pytest.mark.usefixtures("installed")
def test_an_upscaler_is_chosen_on_the_page_and_comes_back(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    page.locator("#form-output_fold > button").click()
    page.locator("#form-prompt textarea").fill("larger")
    choose(page, "2× by own/net.pth")
    page.locator("#form-generate").click()
    expect(page.locator("#status .prompt")).to_have_text("larger", timeout=20_000)
    wait_until_done(page)
    request = studio.context.store.list(limit=1)[0].request
    assert (request.upscale, request.upscaler) == (2, "own/net.pth")
    choose(page, "Off")
    page.locator("#reuse").click()
    expect(page.locator("#form-upscale input")).to_have_value("2× by own/net.pth")
    page.locator("#form-upscale input").fill("3 gone.pth")
    page.locator("#form-upscale input").press("Enter")
    expect(page.locator("#form-preflight .alert")).to_contain_text("gone.pth", timeout=15_000)
