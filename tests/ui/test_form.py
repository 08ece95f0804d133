"""The form's rules, without a browser."""

from __future__ import annotations

import pytest

from tests.ui.fake import draw
from ui import choices, form, preflight, units
from ui.context import Context
from ui.examples import prompts_for
from ui.strings import ENGLISH
from wan_core.catalog import MODELS, find_model, resolve, validate
from wan_core.schema import GenerationRequest, GenerationResult, InvalidRequest, knobs

WAN_14B = find_model("wan2.1-t2v-14b")
WAN_SMALL = find_model("wan2.1-t2v-1.3b")
DEMO = find_model("demo")


def values(model: str = "demo", **changes: object) -> dict[str, object]:
    return {**form.values_of(GenerationRequest(model=model)), "prompt": "a star", **changes}


def test_every_request_field_has_one_control() -> None:
    shown = {*form.fields("main"), *form.fields("sampling"), *form.fields("output")}
    assert shown == set(knobs()) - {"task", "width", "height"}


@pytest.mark.parametrize("name", [*form.fields("sampling"), *form.fields("output")])
def test_a_control_carries_its_knob(name: str) -> None:
    knob = knobs()[name]
    built = form.control(name, values()[name])
    assert (built.label, built.info) == (knob.label, knob.help)
    if knob.high is not None:
        assert (built.maximum, built.step) == (knob.high, knob.step)
        assert built.minimum >= knob.low
        assert (built.minimum / knob.step) % 1 == pytest.approx(0)


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
    assert form.clip_range(WAN_14B) == (17, 257)


def test_the_preflight_line_tells_size_length_time_and_download(context: Context) -> None:
    line = preflight.preflight_html("t2v", values(WAN_SMALL.id), context)
    assert line == (
        '<p class="facts">832×480 · 5.1 s · time known after the first video · 17.6 GB to download</p>'
    )
    store, request = context.store, GenerationRequest(prompt="a star", seed=1)
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
