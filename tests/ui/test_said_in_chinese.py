"""What the engine says, with its values filled in, said in Chinese: no English is left between them."""

from __future__ import annotations

import itertools
import json
import re

import pytest

from ui.making.examples import FOLDER
from ui.strings import CHINESE
from wan_core.catalog import MODELS, resolve
from wan_core.jobs.supervisor import describe_exit
from wan_core.lora.fitting import LoraReport
from wan_core.manager.planner import Budget, plan_memory
from wan_core.pipelines.components import VaeWay
from wan_core.rescue import rescue_note, too_much
from wan_core.schema import GenerationRequest, Settings, Stage
from wan_core.schema.plan import GIB
from wan_core.schema.schemes import DeviceFacts

ALIKE = {"transformer", "vae", "scaled", "with", "speed", "control"}
"""Words of names: parts, precisions and models."""


def english_in(words: str) -> set[str]:
    for spec in MODELS.values():
        words = words.replace(spec.title, "")
    return {word for word in re.findall(r"\b[a-z]{3,}\b", words) if word not in ALIKE and word != "fps"}


def plans() -> set[str]:
    lines: set[str] = set()
    cards = [(DeviceFacts("cuda", (8, 9), "RTX 4090"), gib) for gib in (1, 4, 8, 16, 24, 80)]
    cards.append((DeviceFacts("cpu"), 0))
    rooms = ((4, 1), (32, 500), (256, 500))
    profiles = ("auto", "full", "model", "blocks", "sequential")
    for (facts, gib), (ram, disk), profile in itertools.product(cards, rooms, profiles):
        for model in ("wan2.1-t2v-1.3b", "wan2.1-i2v-14b-480p", "demo"):
            spec = MODELS[model]
            budget = Budget(facts, gib * GIB, gib * GIB, ram * GIB, disk * GIB)
            request = resolve(GenerationRequest(model=model, task=spec.tasks[0]))
            plan = plan_memory(spec, request, budget, Settings(profile=profile))
            lines |= set(plan.explain().splitlines())
    return lines


def test_every_plan_is_said_in_chinese() -> None:
    found = plans()
    reasons = {line for line in found if line.endswith(".")}
    assert len(reasons) > 15
    left = {line: english_in(CHINESE.said(line)) for line in found}
    assert {line: words for line, words in left.items() if words} == {}


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        (
            str(too_much(Stage.DENOISE, "81 frames of 832x480", "cuda", "blocks")),
            "设备（cuda）在去噪（832x480，81 帧）时内存不足；请以更少的显存重试，或选择更小的尺寸、"
            "更少的帧或更小的精度，或关闭占用它的其他程序。",
        ),
        (
            rescue_note(VaeWay(128, on_cpu=True)),
            "解码时内存不足，因此改为在 CPU 上以 128 像素分块；画面相同。",
        ),
        (rescue_note(VaeWay(None, on_cpu=True)), "解码时内存不足，因此改为在 CPU 上；画面相同。"),
        (f"Queued again: {describe_exit(-11)}.", "已重新排队：工作进程崩溃（SIGSEGV）。"),
        (
            LoraReport("a.safetensors", "kohya", 1, {"x": "it changes nothing"}, 0).sentence,
            "a.safetensors（kohya）：2 个部分中有 1 个适用，其中 0 个在所选的块中；"
            "有 1 个未用：x（它什么也不改变）。",
        ),
        (
            "Wan2.1 T2V 1.3B: 1.20 GB of 17.30 GB, 11.5 MB/s, 20 min 3 s left",
            "Wan2.1 T2V 1.3B：1.20 GB（共 17.30 GB），11.5 MB/s，剩余 20 分 3 秒",
        ),
        (
            "/m/a.safetensors is damaged (it is cut short); delete it and download the model again.",
            "/m/a.safetensors 已损坏（不完整）；请删除它并重新下载模型。",
        ),
    ],
)
def test_a_sentence_is_said_with_all_that_it_holds(english: str, chinese: str) -> None:
    assert CHINESE.said(english) == chinese


def test_every_example_is_called_something_in_chinese() -> None:
    titles = {
        example["title"]
        for path in FOLDER.glob("*.json")
        for rows in json.loads(path.read_text(encoding="utf-8")).values()
        for example in rows
        if isinstance(example, dict)
    }
    assert len(titles) == 11
    assert titles == {title for title in titles if CHINESE.said(title) != title}
