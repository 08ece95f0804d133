"""Choosing device, precision and budget; CUDA is played by its functions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

from wan_core.catalog import Role
from wan_core.manager import devices
from wan_core.manager.device_kinds import KINDS
from wan_core.manager.devices import (
    PeakMemory,
    choose_device,
    choose_dtypes,
    device_facts,
    limit_memory,
    measure_budget,
)
from wan_core.schema import InvalidRequest
from wan_core.schema.schemes import DeviceFacts

GIB = 2**30
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


class FakeCuda:
    """The functions of ``torch.cuda`` that are used, for a card of 24 GiB; bytes in use are settable."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.capability = (8, 0)
        self.free, self.reserved = 20 * GIB, 3 * GIB
        self.allocated = self.peak = 0
        self.shares: list[tuple[int, float]] = []

    def reset(self, device: torch.device) -> None:
        self.peak = self.allocated


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    """A machine with two cards."""
    fake = FakeCuda()
    monkeypatch.setitem(devices._AVAILABLE, "cuda", lambda: True)
    for name, function in {
        "init": lambda: fake.calls.append("init"),
        "device_count": lambda: 2,
        "get_device_capability": lambda device: fake.capability,
        "mem_get_info": lambda device: (fake.free, 24 * GIB),
        "memory_reserved": lambda device: fake.reserved,
        "memory_allocated": lambda device: fake.allocated,
        "max_memory_allocated": lambda device: fake.peak,
        "reset_peak_memory_stats": fake.reset,
        "get_device_name": lambda device: "RTX 4090",
        "current_device": lambda: 1,
        "set_per_process_memory_fraction": lambda share, index: fake.shares.append((index, share)),
    }.items():
        monkeypatch.setattr(torch.cuda, name, function)
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    before = [backend.fp32_precision for backend in backends]
    yield fake
    for backend, precision in zip(backends, before, strict=True):
        backend.fp32_precision = precision


def test_a_cpu_computes_in_float32_and_maps_the_text_encoder_as_it_is() -> None:
    assert choose_device("auto").type in ("cuda", "mps", "cpu")
    assert choose_dtypes(DeviceFacts("cpu"), "auto") == {
        Role.TRANSFORMER: torch.float32,
        Role.TEXT_ENCODER: None,
        Role.VAE: torch.float32,
        Role.IMAGE_ENCODER: torch.float32,
        Role.MOTION_CONTROLLER: torch.float32,
    }


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "", "cuda:x", "meta", "cpu:", "cpu:1", ":"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="is not in this machine"):
        choose_device(name)


@pytest.mark.parametrize("name", ["cuda:", "cuda:2", "cuda:-1", "cuda:x", "cuda:0:0"])
def test_a_card_that_is_not_there_is_refused(cuda: FakeCuda, name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^device: '{name}' is not in this machine"):
        choose_device(name)
    assert cuda.calls == []


@pytest.mark.parametrize(("name", "device"), [("auto", "cuda"), ("cuda", "cuda"), ("cuda:1", "cuda:1")])
def test_cuda_is_started_and_computes_float32_in_full(cuda: FakeCuda, name: str, device: str) -> None:
    torch.backends.cudnn.conv.fp32_precision = "tf32"
    assert choose_device(name) == torch.device(device)
    assert cuda.calls == ["init"]
    assert torch.backends.cudnn.conv.fp32_precision == "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"


def test_a_cpu_starts_no_cuda(cuda: FakeCuda) -> None:
    assert choose_device("cpu") == CPU
    assert cuda.calls == []


@pytest.mark.parametrize(
    ("facts", "precision"),
    [
        (DeviceFacts("cuda", (8, 0)), torch.bfloat16),
        (DeviceFacts("cuda", (9, 0)), torch.bfloat16),
        (DeviceFacts("cuda", (7, 5)), torch.float16),
        (DeviceFacts("rocm"), torch.bfloat16),
        (DeviceFacts("mps"), torch.bfloat16),
        (DeviceFacts("cpu"), torch.float32),
    ],
    ids=lambda value: value.kind if isinstance(value, DeviceFacts) else "",
)
def test_the_table_says_what_a_device_computes_in(facts: DeviceFacts, precision: torch.dtype) -> None:
    for kept in ("auto", "fp8_scaled", "int8"):
        assert choose_dtypes(facts, kept)[Role.TRANSFORMER] == precision
    assert choose_dtypes(facts, "fp32")[Role.TRANSFORMER] == torch.float32
    assert choose_dtypes(facts, "fp16")[Role.TEXT_ENCODER] == torch.bfloat16  # float16 overflows in umT5
    assert choose_dtypes(facts, "bf16")[Role.VAE] == torch.float32


def test_every_kind_of_device_has_its_row() -> None:
    assert set(KINDS) == {"cuda", "rocm", "mps", "cpu"}
    for kind in KINDS.values():
        assert kind.precisions and kind.attention[0] == "auto"
    assert [name for name, kind in KINDS.items() if kind.streams] == ["cuda", "rocm"]
    assert [name for name, kind in KINDS.items() if not kind.limits] == ["cuda"]


def test_the_budget_of_a_card_leaves_out_other_programs(cuda: FakeCuda, tmp_path: Path) -> None:
    made = measure_budget(CUDA, tmp_path / "not" / "made" / "yet")
    assert (made.vram_total, made.vram_free) == (24 * GIB, 23 * GIB)  # free 20, and 3 are our own
    memory = psutil.virtual_memory()
    assert memory.available * 0.5 < made.ram_free <= memory.total * 0.9
    assert made.disk_free == pytest.approx(psutil.disk_usage(str(tmp_path)).free, rel=0.1)


def test_the_budget_of_a_cpu_is_ram_alone(tmp_path: Path) -> None:
    made = measure_budget(CPU, tmp_path)
    assert (made.facts.kind, made.vram_total, made.vram_free) == ("cpu", 0, 0)


def test_what_this_process_holds_counts_as_free(tmp_path: Path) -> None:
    before = measure_budget(CPU, tmp_path).ram_free
    held = torch.ones(200 * 2**20, dtype=torch.uint8)
    assert measure_budget(CPU, tmp_path).ram_free == pytest.approx(before, abs=150 * 2**20)
    assert held.nbytes


def test_a_limit_is_the_allocators_too(cuda: FakeCuda) -> None:
    limit_memory(CUDA, 6)
    limit_memory(CUDA, None)
    limit_memory(CUDA, 100)
    limit_memory(CPU, 6)
    limit_memory(torch.device("cuda:0"), 12)
    assert cuda.shares == [(1, 0.25), (1, 1.0), (1, 1.0), (0, 0.5)]


def test_peak_memory_of_a_card_forgets_no_peak(cuda: FakeCuda) -> None:
    cuda.peak = 9 * GIB  # of the job before
    cuda.allocated = GIB
    peak = PeakMemory(CUDA)
    assert peak.bytes == GIB
    cuda.peak = 5 * GIB
    assert peak.sample() == 5 * GIB
    assert peak.sample() == GIB
    assert peak.bytes == 5 * GIB


def test_peak_memory_of_a_cpu_is_the_process_itself() -> None:
    assert PeakMemory(CPU).bytes > 10 * 2**20


def test_facts_of_a_device_without_a_card() -> None:
    assert device_facts(torch.device("cpu")) == DeviceFacts("cpu", None, "CPU")


def test_facts_of_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "RTX 4090")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 9))
    monkeypatch.setattr(torch.version, "hip", None)
    assert device_facts(torch.device("cuda")) == DeviceFacts("cuda", (8, 9), "RTX 4090")
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert device_facts(torch.device("cuda")) == DeviceFacts("rocm", None, "RTX 4090")
