"""What the Models and Settings tabs say and do, without a browser."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from tests.ui.conftest import make_context
from ui.context import Context
from ui.machine import folders
from ui.machine.errand_html import arrivals_html, errands_html
from ui.machine.plan_text import budget_of, plan_html
from ui.machine.stock_html import stock_html
from ui.making import form, preflight
from ui.strings import CHINESE, Texts
from ui.tabs import models, settings
from ui.tabs.plans import plan_of
from wan_core.catalog import MODELS, find_model, resolve
from wan_core.jobs.job import Machine, WorkerState, WorkerStatus
from wan_core.manager.errands import Errand
from wan_core.manager.lora_download import Arrived
from wan_core.manager.lora_errands import Arrival
from wan_core.manager.planner import plan_memory
from wan_core.manager.verify import Verdict
from wan_core.schema import GenerationRequest, InvalidRequest
from wan_core.schema.schemes import DeviceFacts
from wan_core.schema.settings import setting_knobs
from wan_core.schema.status import JobStatus

TURING = Machine(DeviceFacts("cuda", (7, 5), "Fake Turing"), 7 * 2**30, 8 * 2**30)
ADA = Machine(DeviceFacts("cuda", (8, 9), "Fake Ada"), 23 * 2**30, 24 * 2**30)
CPU = Machine(DeviceFacts("cpu", None, "CPU"), 2**34, 2**34)
MODEL = "wan2.1-t2v-1.3b"


def found(context: Context, machine: Machine) -> None:
    context.store.beat(WorkerStatus(WorkerState.IDLE, 1, machine=machine))


@pytest.fixture
def tab(context: Context) -> settings.SettingsTab:
    with gr.Blocks():
        return settings.build(context)


@pytest.fixture
def models_tab(context: Context) -> models.ModelsTab:
    with gr.Blocks():
        return models.build(context)


def by_name(tab: settings.SettingsTab, values: list[object]) -> dict[str, dict[str, object]]:
    """The updates of the controls by setting."""
    return dict(zip(tab.controls, values[1:], strict=False))


def values_of(update: dict[str, object]) -> list[str]:
    return [value for _, value in update["choices"]]


def test_every_setting_has_a_control_that_says_when_it_counts(tab: settings.SettingsTab) -> None:
    assert {*tab.controls, "model_folders"} == set(setting_knobs())
    for name, control in tab.controls.items():
        assert control.info.startswith(setting_knobs()[name].help)
        assert control.info.endswith(("Counts at once.", "Counts from the next job on."))


def test_a_change_is_kept_told_to_the_executor_and_said(
    context: Context, tab: settings.SettingsTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    monkeypatch.setattr(context.executor, "change", told.append)
    notice = settings.keep(context, "vae_tile", 320)
    assert "counts from the next job on" in notice
    assert context.settings.vae_tile == told[0].vae_tile == 320
    assert json.loads((context.settings.home / "settings.json").read_text())["vae_tile"] == 320
    assert settings.keep(context, "vae_tile", 320) == "", "what has not changed is not kept again"
    assert len(told) == 1
    assert "counts from now on" in settings.keep(context, "idle_unload_minutes", 0)
    assert settings.keep(context, "vram_limit_gib", "6.5") and context.settings.vram_limit_gib == 6.5
    assert settings.keep(context, "vram_limit_gib", "") and context.settings.vram_limit_gib is None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("vram_limit_gib", "lots", "VRAM limit: 'lots' is refused. Input should be a valid number"),
        ("vram_limit_gib", "0", "VRAM limit: '0' is refused. Input should be greater than"),
        ("vae_tile", 7, "Tile size: '7' is refused."),
        ("idle_unload_minutes", -1, "Unload when idle: '-1' is refused."),
        ("precision", "bf16", "Precision: Fake Turing has no bfloat16"),
    ],
)
def test_what_is_refused_changes_nothing(context: Context, name: str, value: object, words: str) -> None:
    found(context, TURING)
    before = context.settings
    notice = settings.keep(context, name, value)
    assert 'role="alert"' in notice and words.replace("'", "&#x27;") in notice
    assert context.settings == before


def test_a_disk_that_refuses_is_left_to_the_edge(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    (context.settings.home / "settings.json").mkdir(parents=True)
    (context.settings.home / "settings.json" / "full").touch()
    with pytest.raises(OSError, match=r"settings\.json"):
        settings.keep(context, "vae_tile", 320)
    assert context.settings.vae_tile == 256


def test_only_what_the_device_can_do_is_offered(context: Context, tab: settings.SettingsTab) -> None:
    everything = by_name(tab, tab.show(MODEL))
    assert "bf16" in values_of(everything["precision"])
    found(context, TURING)
    shown = tab.show(MODEL)
    assert "bf16" not in values_of(by_name(tab, shown)["precision"])
    greyed = shown[tab.outputs.index(tab.refused)]
    assert "<s>bf16</s> Fake Turing has no bfloat16 arithmetic" in greyed
    assert "does not multiply fp8 matrices" in greyed
    found(context, ADA)
    shown = tab.show(MODEL)
    assert "bf16" in values_of(by_name(tab, shown)["precision"])
    assert shown[tab.outputs.index(tab.refused)] == ""
    assert by_name(tab, shown)["profile"]["interactive"]


def test_without_a_gpu_what_is_about_it_is_asleep(context: Context, tab: settings.SettingsTab) -> None:
    found(context, CPU)
    shown = tab.show(MODEL)
    updates = by_name(tab, shown)
    for name in ("profile", "vram_limit_gib", "vram_buffer_gib"):
        assert not updates[name]["interactive"]
    assert values_of(updates["text_encoder"]) == ["auto", "cpu", "int8"]
    assert "no GPU that can be used" in shown[tab.outputs.index(tab.device)]


def test_the_plan_follows_the_settings(context: Context) -> None:
    large = "wan2.1-t2v-14b"
    plan = plan_html(context, large, ADA)
    assert "832×480, 81 frames" in plan
    context.change({"vram_limit_gib": 8.0})
    assert plan_html(context, large, ADA) != plan
    assert "on the CPU" in plan_html(context, "demo", CPU)
    assert "<li>CPU: everything is slow" in plan_html(context, "demo", CPU)
    assert "NVIDIA CUDA" not in plan


def test_the_plan_is_at_first_that_of_the_largest_model_here(
    context: Context, tab: settings.SettingsTab
) -> None:
    found(context, CPU)
    assert tab.show(None)[-2] == "demo"
    assert tab.show(MODEL)[-2] == MODEL
    assert "Demo" in tab.show(None)[-1]


def test_a_broken_settings_file_is_said_on_the_tab(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{")
    context = make_context(tmp_path)
    with gr.Blocks():
        shown = settings.build(context).show(MODEL)
    assert "kept as settings.json.bad" in shown[0]


def test_a_folder_is_added_once_if_it_can_be_read(context: Context, tmp_path: Path) -> None:
    texts, folder = context.texts, tmp_path / "<b>"
    folder.mkdir()

    def refusal(text: str) -> str:
        return folders.refusal(folders.written(text), context.settings, texts)

    assert "no full path" in refusal("models")
    assert "is no folder" in refusal(str(tmp_path / "nowhere"))
    assert "is no folder" in refusal(str(tmp_path / "jobs.sqlite3"))
    assert refusal(f'  "{folder}" ') == ""
    context.change({"model_folders": (folder,)})
    assert "searched already" in refusal(str(folder))
    assert "searched already" in refusal(str(folder / ".." / "<b>"))
    context.settings.models_dir.mkdir()
    assert "searched already" in refusal(str(context.settings.models_dir))
    html = folders.folders_html(context.settings, texts)
    assert "&lt;b&gt;" in html and "<b>" not in html
    folder.rmdir()
    assert "not there just now" in folders.folders_html(context.settings, texts)


def test_the_list_escapes_and_hides_what_is_not_the_visitors(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = replace(MODELS[MODEL], title="<script>", note="<script>")
    monkeypatch.setitem(MODELS, MODEL, hostile)
    file = context.settings.models_dir / "Wan2.1-T2V-1.3B" / "diffusion_pytorch_model.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"1234")
    html = stock_html(context, MODEL)
    assert "<script" not in html
    assert str(file.parent) in html and "Delete 4 B of &lt;script&gt;?" in html
    visitors = stock_html(replace(context, owned=False), MODEL)
    assert str(tmp_path) not in visitors
    assert "<button" not in visitors


def test_an_errand_says_how_it_goes_and_how_it_ended(context: Context) -> None:
    def said(**what: object) -> str:
        return errands_html([Errand(**{"kind": "verify", "model": MODEL, **what})], context.texts)

    running = said(state=JobStatus.RUNNING, step=10**9, total=4 * 10**9, message="Checking <a>")
    assert "width:25.0%" in running and "Checking &lt;a&gt; · 1.0 GB of 4.0 GB" in running
    assert 'data-action="cancel"' in running
    assert "waits for the one before" in said(state=JobStatus.QUEUED)
    assert "&lt;no&gt;" in said(state=JobStatus.FAILED, error="<no>")
    assert said(state=JobStatus.CANCELLED) == ""
    assert said(kind="download", state=JobStatus.DONE) == ""
    right = said(state=JobStatus.DONE, verdict=Verdict((Path("a"), Path("b")), (), (Path("c"),)))
    assert "2 files are as published; nothing to compare with for 1 files." in right
    moved = said(state=JobStatus.DONE, verdict=Verdict((Path("a"),), moved=("org/<Model>",)))
    assert "as published; the hub has newer files of org/&lt;Model&gt; by now, and these stay" in moved
    wrong = said(state=JobStatus.DONE, verdict=Verdict((), (Path("x/a.pth"),), ()))
    assert "Damaged: a.pth" in wrong and 'data-action="replace"' in wrong


def test_a_lora_on_its_way_stands_among_the_models(context: Context) -> None:
    def said(texts: Texts = context.texts, **what: object) -> str:
        return arrivals_html([Arrival("k<", "hub.example/<a>.safetensors", **what)], texts)

    waiting = said()
    assert "Downloading the LoRA hub.example/&lt;a&gt;.safetensors" in waiting
    assert "waits for the one before" in waiting and 'data-action="stop-lora" data-model="k&lt;"' in waiting
    running = said(CHINESE, state=JobStatus.RUNNING, step=1, total=4, message="Downloading <b>: 1 B of 4 B")
    assert "width:25.0%" in running and "正在下载 LoRA hub.example/" in running and "<b>" not in running
    failed = said(state=JobStatus.FAILED, error="It has <no> room.")
    assert 'role="alert">It has &lt;no&gt; room.' in failed and 'data-action="again-lora"' in failed
    stopped = said(CHINESE, state=JobStatus.CANCELLED)
    assert "已取消；已收到的部分会保留。" in stopped and ">重新开始</button>" in stopped
    done = said(state=JobStatus.DONE, arrived=Arrived("<a>.safetensors", "0" * 64))
    assert "&lt;a&gt;.safetensors is here." in done and "again-lora" not in done
    assert 'data-action="forget-lora"' in done and "LoRA hub.example" in done


def test_loras_on_their_way_are_the_owners_alone(
    context: Context, models_tab: models.ModelsTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrivals = [Arrival("key", "hub.example/a.safetensors", state=JobStatus.RUNNING)]
    monkeypatch.setattr(context.errands.loras, "all", lambda: arrivals)
    stranger = replace(models_tab, context=replace(context, owned=False))
    for shown, words, moves in ((models_tab, True, True), (stranger, False, False)):
        drawn = dict(zip(map(id, shown.outputs), shown.show(), strict=True))
        assert ("hub.example" in drawn[id(shown.errands)]) is words
        assert drawn[id(shown.timer)].active is moves
    first = models.UnderWay.of(context).sign
    arrivals[0] = replace(arrivals[0], step=5)
    assert models.UnderWay.of(context).sign == first
    arrivals[0] = replace(arrivals[0], state=JobStatus.DONE)
    assert models.UnderWay.of(context).sign != first


def test_a_refused_start_again_is_said(
    context: Context, models_tab: models.ModelsTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(key: str) -> str:
        raise InvalidRequest("loras", "the studio is offline", "Go online.")

    monkeypatch.setattr(context.errands.loras, "again", refuse)
    shown = models._LORA_ACTIONS["again-lora"](models_tab, "key")
    assert "Add a LoRA by address: the studio is offline. Go online." in shown[0]


def test_a_button_does_what_it_says(context: Context, models_tab: models.ModelsTab) -> None:
    file = context.settings.models_dir / "Wan2.1-T2V-1.3B" / "Wan2.1_VAE.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"1234")
    act = models._ACTIONS
    shown = act["delete"](models_tab, MODEL)
    assert shown[models_tab.outputs.index(models_tab.asked)] == MODEL
    assert file.exists()
    assert act["keep"](models_tab, MODEL)[models_tab.outputs.index(models_tab.asked)] == ""
    assert "4 B of Wan2.1 T2V 1.3B deleted" in act["confirm"](models_tab, MODEL)[0]
    assert not file.exists()
    with pytest.raises(KeyError):
        act["format"](models_tab, MODEL)


def test_a_damaged_file_elsewhere_is_not_replaced(
    context: Context, models_tab: models.ModelsTab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine.pth"
    mine.touch()
    errand = Errand("verify", MODEL, state=JobStatus.DONE, verdict=Verdict((), (mine,), ()))
    monkeypatch.setattr(context.errands, "of", lambda model: errand)
    assert "lies outside the models folder" in models._replace(models_tab, MODEL)[0]
    assert mine.exists()


def test_a_model_that_a_job_waits_for_is_not_deleted(
    context: Context, models_tab: models.ModelsTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_is_busy", lambda tab, model: True)
    for action in ("delete", "confirm"):
        shown = models._ACTIONS[action](models_tab, MODEL)
        assert "is in use" in shown[0]
        assert shown[models_tab.outputs.index(models_tab.asked)] == ""


def test_a_check_that_ends_while_the_tab_is_drawn_is_looked_at_again(
    context: Context, models_tab: models.ModelsTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = iter([JobStatus.QUEUED, JobStatus.DONE, JobStatus.DONE, JobStatus.DONE])
    monkeypatch.setattr(
        context.errands, "all", lambda: [Errand("verify", MODEL, state=next(states), verdict=Verdict())]
    )
    drawn = dict(zip(map(id, models_tab.outputs), models_tab.show(), strict=True))
    assert "waits for the one before" in drawn[id(models_tab.errands)]
    assert drawn[id(models_tab.timer)].active, "or nobody would see the end"
    looked = dict(
        zip(map(id, models_tab.outputs), models_tab.look("", drawn[id(models_tab.seen)]), strict=True)
    )
    assert "Verified" in looked[id(models_tab.errands)]
    assert not looked[id(models_tab.timer)].active


@pytest.mark.parametrize(("asked", "said", "shown"), [(320, "Saved", None), (3, "is refused", 256)])
def test_what_is_typed_in_another_setting_stays(
    context: Context, tab: settings.SettingsTab, asked: int, said: str, shown: int | None
) -> None:
    """So does its own, which may have been changed again, unless it is refused."""
    answer = tab.show_changed("vae_tile", asked, MODEL, settings.keep(context, "vae_tile", asked))
    updates = dict(zip(map(id, tab.outputs), answer, strict=True))
    assert updates[id(tab.controls["vae_tile"])].get("value") == shown
    assert said in updates[id(tab.notice)]
    for name, control in tab.controls.items():
        assert name == "vae_tile" or updates[id(control)] == gr.skip()
    assert updates[id(tab.folders.text)] == gr.skip()


def test_kernels_that_failed_their_trial_are_grey_with_the_reason(
    context: Context, tab: settings.SettingsTab
) -> None:
    why = {
        "flash_2": "Not installed (Python package flash_attn).",
        "xformers": "Its trial failed: no kernel.",
    }
    found(context, replace(TURING, no_attention=why, no_compiling="Compiling needs a compiler."))
    shown = tab.show(MODEL)
    offered = values_of(by_name(tab, shown)["attention"])
    assert "sage" in offered and not {"flash_2", "xformers"} & set(offered)
    assert values_of(by_name(tab, shown)["compile"]) == ["off", "graphs"]  # which translate nothing
    greyed = shown[tab.outputs.index(tab.slow)]
    assert "<s>FlashAttention 2</s> Not installed" in greyed
    assert "<s>Compile</s> Compiling needs a compiler." in greyed
    assert "Attention: Not installed" in settings.keep(context, "attention", "flash_2")
    assert context.settings.attention == "auto"


def test_the_times_of_attention_are_told_with_what_auto_takes(
    context: Context, tab: settings.SettingsTab
) -> None:
    found(context, replace(TURING, attention_seconds={"auto": 0.5, "flash": 0.49, "cudnn": 0.0123456}))
    titles = {value: title for title, value in by_name(tab, tab.show(MODEL))["attention"]["choices"]}
    assert titles["auto"] == "Auto: the fastest here · torch, cuDNN, 12.3 ms"
    assert titles["cudnn"] == "torch, cuDNN · 12.3 ms"
    assert titles["flash"] == "torch, flash · 490 ms"
    assert titles["sage"] == "SageAttention, 8-bit"
    found(context, replace(TURING, attention_seconds={"auto": 1.5, "flash": 1.49}))
    titles = {value: title for title, value in by_name(tab, tab.show(MODEL))["attention"]["choices"]}
    assert titles["auto"] == "Auto: the fastest here · torch's choice, 1500 ms"


def test_the_line_above_generate_tells_the_memory_of_a_card(context: Context) -> None:
    plan = plan_of("t2v")

    def line(model: str) -> str:
        return preflight.preflight_html(plan, form.values_of(GenerationRequest(model=model)), context)

    assert "peak" not in line("wan2.1-t2v-14b")  # nothing is known of the machine yet
    found(context, CPU)
    assert "peak" not in line("wan2.1-t2v-14b")
    found(context, ADA)
    spec = find_model("wan2.1-t2v-14b")
    request = resolve(GenerationRequest(model=spec.id))
    peak = plan_memory(spec, request, budget_of(context, ADA), context.settings).peak_vram
    assert f"peak ≈{peak / 1e9:.1f} GB of 25.8 GB" in line(spec.id)
    assert "needs" not in line(spec.id)
    context.change({"profile": "full"})
    told = line(spec.id)
    assert "of the device&#x27;s memory, and" in told and "choose a smaller size or fewer frames" in told
