"""What a job will take, told before it is made: the guess, the line below the form, times and sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests import tiny
from tests.ui.test_form import T2V, WAN_14B, WAN_SMALL, values
from ui import units
from ui.context import Context
from ui.making import guess, preflight
from ui.strings import ENGLISH
from wan_core.catalog import ModelSpec, Role, resolve
from wan_core.jobs.job import WorkerState, WorkerStatus
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.dit.model import WanDiT
from wan_core.schema import GenerationRequest, GenerationResult, StoreError


@pytest.mark.parametrize(("model", "teraflops"), [(WAN_SMALL, 283), (WAN_14B, 1678)], ids=["1.3b", "14b"])
def test_a_pass_costs_what_was_counted(model: ModelSpec, teraflops: float) -> None:
    request = resolve(GenerationRequest(model=model.id, prompt="x"))
    assert guess.forward_flops(request, model) / 1e12 == pytest.approx(teraflops, rel=0.005)
    assert guess.decode_flops(request, model) / 1e12 == pytest.approx(275, rel=0.005)


def test_a_pass_of_vace_counts_the_blocks_beside() -> None:
    """A block beside is what torch counts: products of matrices, to which attention is added by hand."""
    dit = replace(tiny.DIT, vace_in_dim=96)
    grid, tokens = (3, 4, 6), 18
    counted, guessed = [], []
    for layers in ((0,), (0, 1)):
        spec = replace(WAN_SMALL, dit=replace(dit, vace_layers=layers))
        seen = DiTConditioning(vace_latents=torch.zeros(1, 96, *grid))
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            WanDiT(spec.dit)(
                torch.zeros(1, 16, *grid),
                torch.tensor([500]),
                torch.zeros(1, dit.text_len, dit.text_dim),
                seen,
            )
        counted.append(counter.get_flop_counts()["Global"][torch.ops.aten.addmm])
        request = GenerationRequest(width=48, height=32, num_frames=9)
        guessed.append(guess.forward_flops(request, spec))
    attention = 4 * tokens * (tokens + dit.text_len) * dit.dim
    assert guessed[1] - guessed[0] == counted[1] - counted[0] + attention


def test_references_lengthen_a_pass() -> None:
    request = GenerationRequest(width=48, height=32, num_frames=9)
    longer = request.model_copy(update={"num_frames": 13})
    name = "0" * 32 + ".png"
    referring = request.model_copy(update={"references": (name,)})
    assert guess.forward_flops(referring, WAN_SMALL) == guess.forward_flops(longer, WAN_SMALL)


def test_a_guess_follows_the_device_and_the_request() -> None:
    request = resolve(GenerationRequest(model=WAN_SMALL.id, prompt="x"))
    card = guess.guess_seconds(request, WAN_SMALL, "NVIDIA GeForce RTX 4090")
    assert 261 * 0.7 < card < 261 * 1.3  # measured by the model's authors
    assert guess.guess_seconds(request, WAN_SMALL, "NVIDIA H100 80GB HBM3") < card / 3
    assert guess.guess_seconds(request, WAN_SMALL, "CPU") > 1000 * card
    unguided = request.model_copy(update={"guidance_scale": 1.0})
    assert guess.guess_seconds(unguided, WAN_SMALL, "GPU") == pytest.approx(card / 2, rel=0.02)
    assert guess.guess_seconds(request, WAN_SMALL, "") is None


def test_the_preflight_line_tells_size_length_time_and_download(context: Context) -> None:
    line = preflight.preflight_html(T2V, values(WAN_SMALL.id), context)
    assert line == ('<p class="facts">832×480 · 5.1 s · time not known yet · 17.6 GB to download</p>')
    store, request = context.store, GenerationRequest(prompt="a star", seed=1)
    store.beat(WorkerStatus(WorkerState.IDLE, device="NVIDIA GeForce RTX 4090"))
    line = preflight.preflight_html(T2V, values(WAN_SMALL.id, videos=2), context)
    assert "832×480 · 5.1 s · 2 videos · ≈10 min (guess) · 17.6 GB to download" in line
    job_id = store.submit(request)
    store.claim()
    video = context.settings.outputs_dir / "a.mp4"
    store.finish(
        job_id,
        GenerationResult(
            video=video, thumbnail=video, request=resolve(request), seconds={"denoise": 12.0}, peak_bytes=1
        ),
    )
    line = preflight.preflight_html(T2V, values(), context)
    assert line.startswith('<p class="facts">64×64 · 2.1 s · ≈12 s')
    line = preflight.preflight_html(T2V, values(videos=2, num_frames=25, num_inference_steps=10), context)
    assert "64×64 · 3.1 s · 2 videos · ≈18 s" in line
    assert "longer than the 17 frames the model was trained on" in line


def test_the_preflight_line_says_what_is_wrong_but_awaits_the_prompt(context: Context) -> None:
    assert "alert" not in preflight.preflight_html(T2V, values(prompt=""), context)
    line = preflight.preflight_html(T2V, values(seed=-2), context)
    assert line.startswith('<p class="alert" role="alert">Seed: &#x27;-2&#x27; is refused.')


def test_a_damaged_download_is_told_in_the_line(context: Context) -> None:
    index = context.weights.folder(WAN_14B) / WAN_14B.weights[Role.TRANSFORMER].files[0]
    index.parent.mkdir(parents=True)
    index.write_text("{")
    line = preflight.preflight_html(T2V, values(WAN_14B.id), context)
    assert line.startswith('<p class="alert" role="alert">')
    assert index.name in line


def test_a_store_that_fails_is_told_in_the_line(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(request: GenerationRequest) -> float:
        raise StoreError("The disk is full; make room.")

    monkeypatch.setattr(context.store, "estimate_seconds", fail)
    line = preflight.preflight_html(T2V, values(), context)
    assert line == '<p class="alert" role="alert">The disk is full; make room.</p>'


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (8, "8 s"), (89.1, "90 s"), (241, "4 min"), (3600, "1 h"), (4800, "1 h 20 min")],
)
def test_times_read_naturally(seconds: float, words: str) -> None:
    assert units.in_time(seconds, ENGLISH.time_units) == words


def test_bytes_read_naturally() -> None:
    assert [units.in_bytes(n) for n in (12, 4_200, 17_567_000_000, 139_000_000_000)] == [
        "12 B",
        "4.2 kB",
        "17.6 GB",
        "139 GB",
    ]
