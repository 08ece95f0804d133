"""Compiled blocks compute the same, share one translation, and are as they were afterwards."""

from __future__ import annotations

import gc
import shutil
import weakref

import pytest
import torch

from tests.tiny import DIT
from wan_core.manager.speed import Speed, set_speed
from wan_core.models.dit.model import WanDiT
from wan_core.ops import compiling
from wan_core.ops.compiling import compiled, compiling_impossible, compiling_unsupported
from wan_core.schema import GenerationRequest, Settings
from wan_core.schema.compiling import COMPILE_ARGUMENTS, CompileMode
from wan_core.schema.lora import LoraUse

CPU = torch.device("cpu")


@pytest.mark.skipif(compiling_impossible(CPU) is not None, reason="needs a C++ compiler")
@pytest.mark.parametrize("mode", COMPILE_ARGUMENTS)
def test_compiled_blocks_compute_the_same_and_leave_no_trace(mode: CompileMode) -> None:
    torch.manual_seed(0)
    model = WanDiT(DIT).eval()
    model.init_weights()
    torch.nn.init.normal_(model.head.head.weight)
    inputs = torch.randn(1, 16, 2, 4, 6), torch.tensor([500.0]), torch.randn(1, 5, DIT.text_dim)
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    with torch.inference_mode():
        right = model(*inputs)
        with compiled(model.blocks, mode) as count:
            assert count == len(model.blocks) > 1
            torch.testing.assert_close(model(*inputs), right, rtol=1e-4, atol=1e-4)
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1, "all blocks share one"
        assert torch.equal(model(*inputs), right), "as it was"
    alive = weakref.ref(model.blocks[0].ffn[0].weight)
    del model
    gc.collect()
    assert alive() is None, "the compiler keeps no weights"


def test_blocks_with_something_hung_into_them_run_as_they_are() -> None:
    model = torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(3))
    model[1].register_forward_hook(lambda module, inputs, output: output + 1)
    with compiled(model) as count:
        assert count == 2
        assert "forward" not in vars(model[1])
    assert not any("forward" in vars(block) for block in model)
    with compiled(model, mode="off") as count:
        assert count == 0


def test_without_a_compiler_jobs_run_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    compiling_unsupported.cache_clear()
    speed = set_speed(Settings(compile="on"), CPU)
    compiling_unsupported.cache_clear()
    sentence = "Compiling needs a C++ compiler such as g++, which this machine lacks. Nothing was compiled."
    assert speed == Speed("off", (sentence,))
    assert speed.notes_on(GenerationRequest(), "full") == (sentence,)
    assert "mps" in compiling_impossible(torch.device("mps"))


def test_a_compiler_that_fails_its_trial_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(function: object) -> object:
        raise RuntimeError("no header Python.h\nand more")

    monkeypatch.setattr(compiling.torch, "compile", broken)
    monkeypatch.setattr(compiling, "compiling_impossible", lambda device: None)
    compiling_unsupported.cache_clear()
    assert compiling_unsupported(CPU).endswith("such as g++: no header Python.h.")
    compiling_unsupported.cache_clear()


def test_what_cannot_be_compiled_in_a_job_is_said() -> None:
    speed = Speed(compiles="on")
    worn = GenerationRequest(loras=(LoraUse(file="a.safetensors"),))
    assert "LoRAs are worn" in speed.notes_on(worn, "full")[0]
    assert "come and go" in speed.notes_on(GenerationRequest(), "blocks")[0]
    assert speed.notes_on(GenerationRequest(), "model") == ()


def test_a_kernel_that_the_device_lacks_is_not_used_and_that_is_said() -> None:
    speed = set_speed(Settings(attention="sage"), CPU)
    assert speed.notes == (
        "SageAttention, 8-bit was not used: Not made for CPU. Torch chose the attention instead.",
    )
