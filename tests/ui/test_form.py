"""The form's rules, without a browser."""

from __future__ import annotations

import gradio as gr
import pytest

from tests.ui.fake import draw
from ui import choices, form, guess, preflight, units
from ui.context import Context
from ui.examples import prompts_for
from ui.strings import ENGLISH
from ui.tabs import text_to_video
from wan_core.catalog import MODELS, ModelSpec, Role, find_model, resolve, validate
from wan_core.jobs.job import WorkerState, WorkerStatus
from wan_core.schema import GenerationRequest, GenerationResult, InvalidRequest, StoreError, knobs

WAN_14B = find_model("wan2.1-t2v-14b")
WAN_SMALL = find_model("wan2.1-t2v-1.3b")
DEMO = find_model("demo")


def values(model: str = "demo", **changes: object) -> dict[str, object]:
    return {**form.values_of(GenerationRequest(model=model)), "prompt": "a star", **changes}


def test_every_request_field_of_all_tasks_has_one_control() -> None:
    shown = {*form.fields("main"), *form.fields("sampling"), *form.fields("output")}
    of_all = {name for name, knob in knobs().items() if knob.group not in ("media", "steering")}
    assert shown == of_all - {"task", "width", "height"}


@pytest.mark.parametrize("name", [*form.fields("sampling"), *form.fields("output")])
def test_a_control_carries_its_knob(name: str) -> None:
    knob = knobs()[name]
    built = form.control(name, values()[name])
    assert (built.label, built.info) == (knob.label, knob.help)
    if knob.high is not None:
        assert (built.minimum, built.maximum, built.step) == (knob.low, knob.high, knob.step)


@pytest.mark.parametrize("model", MODELS)
def test_an_untouched_form_is_the_models_own_request(model: str) -> None:
    made = form.to_request("t2v", values(model))
    expected = resolve(GenerationRequest(model=model, prompt="a star", seed=0))
    assert made == expected.model_copy(update={"seed": -1})
    assert validate(made).id == model


def test_a_request_survives_the_form() -> None:
    request = GenerationRequest(
        model=WAN_14B.id, prompt="一只猫", negative_prompt="", width=720, height=1280, num_frames=49,
        num_inference_steps=7, guidance_scale=1.0, shift=3.5, scheduler="euler", seed=42, fps=24, crf=0,
        preview_every=0, embed_metadata=False,
    )  # fmt: skip
    assert form.to_request("t2v", form.values_of(request)) == request


def test_sizes_are_offered_as_resolution_and_aspect() -> None:
    table = choices.sizes_by_choice(WAN_14B)
    assert list(table) == ["480p", "720p"]
    assert all(list(sizes) == list(choices.ASPECTS) for sizes in table.values())
    assert [table["480p"][name] for name in ("16:9", "4:3", "1:1")] == [(832, 480), (704, 544), (624, 624)]
    assert [table["720p"][name] for name in ("3:4", "9:16")] == [(832, 1088), (720, 1280)]
    assert list(choices.sizes_by_choice(WAN_SMALL)) == ["480p"]
    assert choices.sizes_by_choice(DEMO) == {"64×64": {"1:1": (64, 64)}}


def test_what_a_model_lacks_becomes_its_own_size() -> None:
    assert choices.size_for(WAN_SMALL, "720p", "9:16") == (480, 832)
    assert choices.size_for(DEMO, "480p", "16:9") == (64, 64)
    assert choices.size_for(WAN_SMALL, None, None) == (832, 480)


def test_quality_is_a_share_of_the_official_steps() -> None:
    assert choices.steps_for(WAN_14B) == {"draft": 20, "balanced": 30, "best": 50}
    assert choices.steps_for(DEMO) == {"draft": 8, "balanced": 12, "best": 20}
    assert choices.quality_of(WAN_14B, 30) == "balanced"
    assert choices.quality_of(WAN_14B, 31) is None


def test_several_videos_count_the_seed_up() -> None:
    assert [r.seed for r in form.to_requests("t2v", values(seed=7, videos=3))] == [7, 8, 9]
    assert [r.seed for r in form.to_requests("t2v", values(videos=2))] == [-1, -1]
    with pytest.raises(InvalidRequest, match="seed"):
        form.to_requests("t2v", values(seed=2**32 - 1, videos=2))


def test_an_empty_seed_means_a_new_one() -> None:
    assert form.to_request("t2v", values(seed=None)).seed == -1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1.5}, "Seed: '1.5' is refused. "),
        ({"prompt": "a\0b"}, "Prompt: 'a\\x00b' is refused. "),
        ({"fps": 600}, "Frame rate: '600' is refused. "),
        ({"model": "gone"}, "Model: 'gone' is not a model of this studio. "),
        ({"num_frames": 18}, "Frames: 18 is not 4n+1. Try 17 or 21."),
    ],
)
def test_errors_name_the_control_by_its_label(change: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        form.to_requests("t2v", values(**change))
    assert form.sentence(caught.value).startswith(words)


def test_clips_start_at_a_fifth_of_a_second_or_so() -> None:
    assert form.clip_range(DEMO) == (9, 25)
    assert form.clip_range(WAN_14B) == (17, 129)


@pytest.mark.parametrize(
    ("name", "ends", "beyond", "wider"),
    [
        ("num_frames", (17, 129), 257, (17, 257)),
        ("num_frames", (17, 129), 1, (1, 129)),
        ("num_inference_steps", (1, 100), 200, (1, 200)),
        ("guidance_scale", (1, 12), 20.0, (1, 20.0)),
        ("shift", (1, 20), 0.1, (0.1, 20)),
        ("fps", (8, 30), 60, (8, 60)),
    ],
)
def test_sliders_offer_the_usual_and_widen_for_what_a_request_holds(
    name: str, ends: tuple[float, float], beyond: float, wider: tuple[float, float]
) -> None:
    assert form.slider_range(name, WAN_14B) == ends
    assert form.slider_range(name, WAN_14B, beyond) == wider
    assert form.slider_range(name, WAN_14B, ends[0]) == ends


def test_the_frame_rate_belongs_to_sampling() -> None:
    assert form.fields("sampling") == [
        "negative_prompt", "num_inference_steps", "guidance_scale", "shift", "scheduler", "fps",
    ]  # fmt: skip
    assert form.fields("output") == ["crf", "preview_every", "embed_metadata"]


def test_a_fresh_session_takes_what_any_page_may_hold(context: Context) -> None:
    """After a restart a page still shows a model that the new session has not heard of."""
    with gr.Blocks():
        controls = text_to_video.build(context).controls
    for model in MODELS:
        held = {**values(model), "num_frames": 257, "num_inference_steps": 200, "shift": 0.5}
        for name in set(held) & set(controls):
            assert controls[name].preprocess(held[name]) == held[name]
    assert controls["resolution"].preprocess("720p") == "720p"
    assert controls["aspect"].preprocess("9:16") == "9:16"


@pytest.mark.parametrize("size", [(16, 16), (96, 64), (640, 368), (1280, 720), (4096, 16)])
@pytest.mark.parametrize("model", MODELS)
def test_a_size_of_any_kind_leaves_a_form_that_holds_its_own_choices(
    model: str, size: tuple[int, int]
) -> None:
    request = GenerationRequest(model=model, width=size[0], height=size[1])
    updates = form.updates_for(find_model(model), form.values_of(request), ENGLISH)
    assert updates["resolution"]["value"] in updates["resolution"]["choices"]
    assert updates["aspect"]["value"] in updates["aspect"]["choices"]


def test_a_size_that_the_form_lacks_is_replaced_aloud(context: Context) -> None:
    with gr.Blocks():
        tab = text_to_video.build(context)
    *_, notice = tab.restore(GenerationRequest(model=WAN_SMALL.id, width=640, height=368))
    assert "The form offers no 640×368; 832×480 is taken instead." in notice
    *_, notice = tab.restore(GenerationRequest(model=WAN_SMALL.id, width=480, height=832))
    assert notice == ""


@pytest.mark.parametrize(("model", "teraflops"), [(WAN_SMALL, 283), (WAN_14B, 1678)], ids=["1.3b", "14b"])
def test_a_pass_costs_what_was_counted(model: ModelSpec, teraflops: float) -> None:
    request = resolve(GenerationRequest(model=model.id, prompt="x"))
    assert guess.forward_flops(request, model) / 1e12 == pytest.approx(teraflops, rel=0.005)
    assert guess.decode_flops(request, model) / 1e12 == pytest.approx(275, rel=0.005)


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
    line = preflight.preflight_html("t2v", values(WAN_SMALL.id), context)
    assert line == ('<p class="facts">832×480 · 5.1 s · time not known yet · 17.6 GB to download</p>')
    store, request = context.store, GenerationRequest(prompt="a star", seed=1)
    store.beat(WorkerStatus(WorkerState.IDLE, device="NVIDIA GeForce RTX 4090"))
    line = preflight.preflight_html("t2v", values(WAN_SMALL.id, videos=2), context)
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
    line = preflight.preflight_html("t2v", values(), context)
    assert line.startswith('<p class="facts">64×64 · 2.1 s · ≈12 s')
    line = preflight.preflight_html("t2v", values(videos=2, num_frames=25, num_inference_steps=10), context)
    assert "64×64 · 3.1 s · 2 videos · ≈18 s" in line
    assert "longer than the 17 frames the model was trained on" in line


def test_the_preflight_line_says_what_is_wrong_but_awaits_the_prompt(context: Context) -> None:
    assert "alert" not in preflight.preflight_html("t2v", values(prompt=""), context)
    line = preflight.preflight_html("t2v", values(seed=-2), context)
    assert line.startswith('<p class="alert" role="alert">Seed: &#x27;-2&#x27; is refused.')


def test_a_damaged_download_is_told_in_the_line(context: Context) -> None:
    index = context.weights.folder(WAN_14B) / WAN_14B.weights[Role.TRANSFORMER].files[0]
    index.parent.mkdir(parents=True)
    index.write_text("{")
    line = preflight.preflight_html("t2v", values(WAN_14B.id), context)
    assert line.startswith('<p class="alert" role="alert">')
    assert index.name in line


def test_a_store_that_fails_is_told_in_the_line(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(request: GenerationRequest) -> float:
        raise StoreError("The disk is full; make room.")

    monkeypatch.setattr(context.store, "estimate_seconds", fail)
    line = preflight.preflight_html("t2v", values(), context)
    assert line == '<p class="alert" role="alert">The disk is full; make room.</p>'


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_examples_that_it_accepts(model: str) -> None:
    prompts = prompts_for(find_model(model))
    assert len(prompts) == 6
    for prompt in prompts:
        validate(GenerationRequest(model=model, prompt=prompt))


def test_every_text_is_there() -> None:
    assert all(vars(ENGLISH).values())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (8, "8 s"), (89.1, "90 s"), (241, "4 min"), (3600, "1 h"), (4800, "1 h 20 min")],
)
def test_times_read_naturally(seconds: float, words: str) -> None:
    assert units.in_time(seconds) == words


def test_bytes_read_naturally() -> None:
    assert [units.in_bytes(n) for n in (12, 4_200, 17_567_000_000, 139_000_000_000)] == [
        "12 B",
        "4.2 kB",
        "17.6 GB",
        "139 GB",
    ]


def test_the_drawn_engine_draws_what_was_asked_for() -> None:
    assert draw(resolve(GenerationRequest(prompt="x"))).shape == (17, 64, 64, 3)
