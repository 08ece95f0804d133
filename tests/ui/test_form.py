"""The form's rules, without a browser."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from tests.ui.fake import draw
from ui.context import Context
from ui.making import choices, form, inputs, masking, preflight, refining
from ui.making.bench import Bench
from ui.making.examples import inputs_for, prompts_for, request_of
from ui.strings import ENGLISH
from ui.studio import build_bench
from ui.tabs import making
from ui.tabs.plans import TABS, TabPlan, plan_of
from wan_core.catalog import MODELS, ModelSpec, find_model, resolve, validate
from wan_core.catalog.local import with_files
from wan_core.media.inputs import InputStore
from wan_core.pipelines.settling import settle
from wan_core.schema import GenerationRequest, InvalidRequest, knobs

WAN_14B = find_model("wan2.1-t2v-14b")
WAN_SMALL = find_model("wan2.1-t2v-1.3b")
DEMO = find_model("demo")
T2V = TABS[0]


def values(model: str = "demo", **changes: object) -> dict[str, object]:
    return {**form.values_of(GenerationRequest(model=model)), "prompt": "a star", **changes}


def bench_of(context: Context) -> Bench:
    """The tabs and their form, connected."""
    with gr.Blocks():
        tabs = {plan.key: making.build(context, plan) for plan in TABS}
        return build_bench(context, tabs, "t2v")


def test_every_request_field_of_all_tasks_has_one_control() -> None:
    shown = {name for group in ("main", "lora", "sampling", "speed", "output") for name in form.fields(group)}
    of_all = {name for name, knob in knobs().items() if knob.group not in ("media", "steering")}
    assert shown | {*refining.FIELDS} == of_all - {"task", *form.SEEN_AS_CHOICES}
    assert set(refining.FIELDS) == {*form.fields("guidance")}


def test_every_input_of_any_model_has_a_place_in_its_tab(context: Context) -> None:
    bench = bench_of(context)
    for plan in TABS:
        tab = bench.tabs[plan.key]
        assert set(inputs.names(plan.inputs)) == {*tab.controls} | ({"image_format"} & plan.inputs), plan.key
        for spec in plan.models:
            updates = {
                name.split("-", 1)[1]: update
                for name, update in bench.updates(tab, spec, tab.default_values(spec)).items()
            }
            always = set(inputs.names(plan.inputs)) - inputs.JOINING - inputs.BUILDING - inputs.STAYING
            seen = {name for name in always if updates[name]["visible"]}
            assert seen == set(inputs.names(plan.taken(spec))) & always, (plan.key, spec.id)


@pytest.mark.parametrize(("key", "model"), [(plan.key, spec.id) for plan in TABS for spec in plan.models])
def test_an_untouched_tab_awaits_only_what_is_given(context: Context, key: str, model: str) -> None:
    plan = next(plan for plan in TABS if plan.key == key)
    line = preflight.preflight_html(plan, {**values(model), "prompt": ""}, context)
    assert line.startswith('<p class="facts">') or "nothing is given that could steer" in line


@pytest.mark.parametrize(
    ("builder", "seen"),
    [("none", set()), ("outpaint", set(inputs.SIDES)), ("after", {"kept_frames"})],
)
def test_a_mask_asks_only_for_the_numbers_that_it_is_built_from(
    context: Context, builder: str, seen: set[str]
) -> None:
    plan = plan_of("control")
    spec = next(spec for spec in plan.models if "outpaint" in plan.taken(spec))
    with gr.Blocks():
        tab = making.build(context, plan)
    updates = tab.updates(spec, {**tab.default_values(spec), "mask_builder": builder})
    assert {name for name in inputs.BUILDING if updates[name]["visible"]} == seen
    assert updates["sides_help"]["visible"] is (builder == "outpaint")


def test_a_single_frame_is_a_picture() -> None:
    request = form.to_request(T2V, values(num_frames=1))
    assert (request.task, request.num_frames) == ("t2i", 1)
    assert form.to_request(T2V, values()).task == "t2v"
    assert form.slider_range("num_frames", DEMO, pictures=True) == (1, 25)
    assert plan_of("t2i") is T2V


def test_files_and_numbers_become_request_fields() -> None:
    given = {
        "image": "/a.png", "references": ["/b.png", "/c.png"], "video": None, "fit": "fit",
        "match_input": True, "mask_builder": "region",
        "left": 25, "top": 0, "right": 75, "bottom": 100, "kept_frames": "0 -1",
        "continues": "f" * 32 + ".mp4", "join": False,
    }  # fmt: skip
    taken = {*given, "region", "outpaint", "match_input"}
    fields = inputs.to_fields(given, taken, lambda path: f"{path.stem * 32}.png")
    assert fields == {
        "image": "a" * 32 + ".png", "references": ("b" * 32 + ".png", "c" * 32 + ".png"), "fit": "fit",
        "mask_builder": "region", "region": (0.25, 0, 0.75, 1), "match_input": True,
    }  # fmt: skip
    outpainting = {**given, "mask_builder": "frames"}
    assert inputs.to_fields(outpainting, {"kept_frames", "region"}, str) == {"kept_frames": (0, -1)}
    with pytest.raises(InvalidRequest, match="'one' is no list of frames"):
        inputs.to_fields({"mask_builder": "frames", "kept_frames": "one"}, {"kept_frames"}, str)


def test_inputs_come_back_and_what_is_gone_is_said(context: Context, tmp_path: Path) -> None:
    store = InputStore(context.settings.inputs_dir)
    picture = tmp_path / "a.png"
    Image.new("RGB", (32, 16)).save(picture)
    name = store.keep(picture)
    request = GenerationRequest(
        task="control", image=name, last_image="0" * 32 + ".png", region=(0, 0.5, 1, 1), continues=name
    )
    shown, gone = inputs.to_values(request, store)
    assert (shown["image"], shown["last_image"]) == (str(store.path(name)), None)
    assert (shown["top"], shown["continues"], shown["join"]) == (50, name, True)
    assert len(gone) == 1
    assert "choose the file again" in gone[0]


def test_a_painted_mask_is_white_where_it_was_painted() -> None:
    layer = Image.new("RGBA", (8, 4))
    assert masking.painted(None) is None
    assert masking.painted({"layers": [layer]}) is None
    layer.paste((255, 255, 255, 255), (2, 1, 5, 3))
    mask = masking.painted({"layers": [Image.new("RGBA", (8, 4)), layer]})
    assert mask.shape == (4, 8)
    assert (int(mask.sum()), mask[1, 2], mask[0, 0]) == (6 * 255, 255, 0)


@pytest.mark.parametrize("name", [*form.fields("sampling"), *form.fields("output")])
def test_a_control_carries_its_knob(name: str) -> None:
    knob = knobs()[name]
    built = form.control(name, values()[name], "t2v", ENGLISH)
    assert (built.label, built.info) == (knob.label, knob.help)
    if knob.high is not None and name != "upscale":
        assert (built.minimum, built.maximum, built.step) == (knob.low, knob.high, knob.step)


@pytest.mark.parametrize("model", [spec.id for spec in T2V.models])
def test_an_untouched_form_is_the_models_own_request(model: str) -> None:
    made = form.to_request(T2V, values(model))
    expected = resolve(GenerationRequest(model=model, prompt="a star", seed=0))
    assert made == expected.model_copy(update={"seed": -1})
    assert validate(made).id == model


def test_a_request_survives_the_form() -> None:
    request = GenerationRequest(
        model=WAN_14B.id, prompt="一只猫", negative_prompt="", width=720, height=1280, num_frames=49,
        num_inference_steps=7, guidance_scale=1.0, shift=3.5, scheduler="euler", seed=42, fps=24, crf=0,
        preview_every=0, embed_metadata=False,
    )  # fmt: skip
    assert form.to_request(T2V, form.values_of(request)) == request


def test_sizes_are_offered_as_resolution_and_aspect() -> None:
    table = choices.sizes_by_choice(WAN_14B)
    assert list(table) == ["480p", "720p"]
    assert all(list(sizes) == list(choices.ASPECTS) for sizes in table.values())
    assert [table["480p"][name] for name in ("16:9", "4:3", "1:1")] == [(832, 480), (704, 544), (624, 624)]
    assert [table["720p"][name] for name in ("3:4", "9:16")] == [(832, 1088), (720, 1280)]
    assert list(choices.sizes_by_choice(WAN_SMALL)) == ["480p"]
    assert choices.sizes_by_choice(DEMO) == {"64×64": {"1:1": (64, 64)}}


@pytest.mark.parametrize("spec", MODELS.values(), ids=list(MODELS))
def test_every_resolution_of_a_model_comes_in_the_same_shapes(spec: ModelSpec) -> None:
    """So a shape chosen stays when the resolution changes, and the form need not ask for it anew."""
    shapes = [list(sizes) for sizes in choices.sizes_by_choice(spec).values()]
    assert all(names == shapes[0] for names in shapes)


def test_what_a_model_lacks_becomes_its_own_size() -> None:
    assert choices.size_for(WAN_SMALL, "720p", "9:16") == (480, 832)
    assert choices.size_for(DEMO, "480p", "16:9") == (64, 64)
    assert choices.size_for(WAN_SMALL, None, None) == (832, 480)


def test_quality_is_a_share_of_the_official_steps() -> None:
    assert choices.steps_for(WAN_14B) == {"draft": 20, "balanced": 30, "best": 50}
    assert choices.steps_for(DEMO) == {"draft": 8, "balanced": 12, "best": 20}
    few = with_files(WAN_14B, ("distill_lightx2v.safetensors",))
    assert choices.steps_for(few) == {"best": 4} and choices.steps_of(few, choices.DRAFTS) == 4
    values = form.default_values(few)
    assert (values["quality"], values["scheduler"], values["guidance_scale"]) == ("best", "lcm", 1.0)
    assert choices.quality_of(WAN_14B, 30) == "balanced"
    assert choices.quality_of(WAN_14B, 31) is None


def test_the_shift_that_is_shown_follows_the_resolution_until_it_is_changed() -> None:
    spec = find_model("wan2.1-i2v-14b-720p")
    assert form.default_values(spec)["shift"] == choices.shift_for(spec, "720p", 3.0) == 5.0
    assert choices.shift_for(spec, "480p", 5.0) == 3.0
    assert choices.shift_for(spec, "480p", 7.5) == 7.5


def test_several_videos_count_the_seed_up() -> None:
    assert [r.seed for r in form.several(form.to_request(T2V, values(seed=7)), 3)] == [7, 8, 9]
    assert [r.seed for r in form.several(form.to_request(T2V, values()), 2)] == [-1, -1]
    with pytest.raises(InvalidRequest, match="seed"):
        form.several(form.to_request(T2V, values(seed=2**32 - 1)), 2)


def test_every_line_of_the_prompt_is_a_video(context: Context) -> None:
    several = values(prompt="a red star\n\n a blue star \n", seed=7, videos=2, lines=True)
    made = form.several(form.to_request(T2V, several), 2, lines=True)
    assert [(each.prompt, each.seed) for each in made] == [
        *(("a red star", 7), ("a red star", 8), ("a blue star", 7), ("a blue star", 8))
    ]
    assert form.videos_of(T2V, several) == 4 and form.videos_of(T2V, {**several, "prompt": ""}) == 2
    assert "4 videos" in preflight.preflight_html(T2V, several, context)


def test_every_picture_begins_a_video(context: Context) -> None:
    plan = next(plan for plan in TABS if plan.key == "i2v")
    several = values(
        model="demo-image", prompt="a star\nb star", lines=True, seed=7, images=["a.png", "b.png"]
    )
    pictures = [f"{number}" * 32 + ".png" for number in range(2)]
    made = form.several(form.to_request(plan, several), 1, lines=True, pictures=pictures)
    assert [(each.prompt[0], each.image[0], each.seed) for each in made] == [
        *(("a", "0", 7), ("a", "1", 7), ("b", "0", 7), ("b", "1", 7))
    ]
    assert form.videos_of(plan, several) == 4
    assert "4 videos" in preflight.preflight_html(plan, several, context)
    assert form.videos_of(T2V, {**several, "model": "demo"}) == 2  # its task takes none


def test_an_empty_seed_means_a_new_one() -> None:
    assert form.to_request(T2V, values(seed=None)).seed == -1


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
        form.several(form.to_request(T2V, values(**change)), 1)
    assert form.sentence(caught.value, ENGLISH).startswith(words)


def test_clips_start_at_a_fifth_of_a_second_or_so() -> None:
    assert form.clip_range(DEMO) == (9, 25)
    assert form.clip_range(WAN_14B) == (17, 129)


@pytest.mark.parametrize(("seconds", "frames"), [(0.3, 17), (2.0, 29), (5.0, 77), (5.0625, 81), (60.0, 81)])
def test_a_video_becomes_a_clip_of_its_length_within_what_was_trained(seconds: float, frames: int) -> None:
    assert form.frames_for(seconds, 16, WAN_14B) == frames


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
    assert form.fields("output") == [
        "video_format", "codec", "crf", "interpolate_fps", "upscale", "loop_count", "ping_pong", "keep_audio",
        "filename", "preview_every", "embed_metadata", "embed_inputs", "sidecar",
    ]  # fmt: skip


def test_a_fresh_session_takes_what_any_page_may_hold(context: Context) -> None:
    """After a restart a page still shows a model that the new session has not heard of."""
    controls = bench_of(context).controls
    for model in (spec.id for spec in T2V.models):
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
    updates = form.updates_for(find_model(model), form.values_of(request), False, ENGLISH)
    assert updates["resolution"]["value"] in updates["resolution"]["choices"]
    assert updates["aspect"]["value"] in updates["aspect"]["choices"]


def test_a_size_that_the_form_lacks_is_replaced_aloud(context: Context) -> None:
    bench = bench_of(context)
    tab = bench.tabs["t2v"]
    asked = GenerationRequest(model=WAN_SMALL.id, width=640, height=368)
    notice = bench.restore(tab, asked)["form-notice"]
    assert "The form offers no 640×368; 832×480 is taken instead." in notice
    offered = GenerationRequest(model=WAN_SMALL.id, width=480, height=832)
    notice = bench.restore(tab, offered)["form-notice"]
    assert notice == ""


@pytest.mark.parametrize("model", [spec.id for spec in T2V.models])
def test_every_model_has_examples_that_it_accepts(model: str) -> None:
    prompts = prompts_for(find_model(model))
    assert len(prompts) == 6
    for prompt in prompts:
        validate(GenerationRequest(model=model, prompt=prompt))
    assert prompts_for(with_files(find_model(model), ("mine.safetensors",))) == prompts


@pytest.mark.parametrize("plan", [plan for plan in TABS if plan.first], ids=lambda plan: plan.key)
def test_every_tab_has_examples_that_its_demo_model_accepts(plan: TabPlan, tmp_path: Path) -> None:
    (spec,) = [spec for spec in plan.models if spec.folder and inputs_for(spec, plan.key)][:1]
    examples = inputs_for(spec, plan.key)
    assert len({example["title"] for example in examples}) == len(examples) > 1
    store = InputStore(tmp_path)
    for example in examples:
        request = request_of(example, spec, plan.task(spec, None), store)
        validate(request)
        assert all(store.path(name).is_file() for name in request.named_files())
        settled, warnings = settle(resolve(request), spec, store)
        assert (settled.width, settled.height, settled.num_frames, warnings) == (64, 64, 17, ())
    assert inputs_for(WAN_14B, plan.key) == []


def test_every_text_is_there() -> None:
    assert all(words for name, words in vars(ENGLISH).items() if name != "patterns")


def test_the_drawn_engine_draws_what_was_asked_for() -> None:
    assert draw(resolve(GenerationRequest(prompt="x"))).shape == (17, 64, 64, 3)
