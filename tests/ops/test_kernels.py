"""Kernels of attention: used for what they take, offered where their trial came out right."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F

from wan_core.ops import attention as chosen
from wan_core.ops import attention_probe
from wan_core.ops.attention import attention, use_attention
from wan_core.ops.attention_probe import attention_unsupported
from wan_core.ops.kernels import KERNELS

CPU, HALF = torch.device("cpu"), torch.bfloat16


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    attention_unsupported.cache_clear()
    yield
    use_attention("auto")
    attention_unsupported.cache_clear()


def install(monkeypatch: pytest.MonkeyPatch, off_by: float = 0.0) -> list[torch.Size]:
    """A package ``flash_attn`` that computes with torch, and the shapes of its queries."""
    asked: list[torch.Size] = []

    def flash_attn_func(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        asked.append(query.shape)
        heads_first = [tensor.transpose(1, 2) for tensor in (query, key, value)]
        return F.scaled_dot_product_attention(*heads_first).transpose(1, 2) + off_by

    module = ModuleType("flash_attn")
    module.flash_attn_func = flash_attn_func
    monkeypatch.setitem(sys.modules, "flash_attn", module)
    monkeypatch.setattr(attention_probe, "find_spec", lambda name: True)
    return asked


@pytest.mark.parametrize("name", ["auto", "math"])
def test_what_torch_always_has_passes_its_trial(name: str) -> None:
    assert attention_unsupported(name, CPU, torch.float32) is None
    assert attention_unsupported(name, CPU, HALF) is None


def test_reasons_are_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_probe, "find_spec", lambda name: None)
    assert attention_unsupported("sage", CPU, HALF) == "Not installed (Python package sageattention)."
    monkeypatch.setattr(attention_probe, "find_spec", lambda name: True)
    attention_unsupported.cache_clear()
    reason = attention_unsupported("flash_2", CPU, torch.float32)
    assert reason == "It computes in 16 bits only, and the transformer in float32 here."
    assert attention_unsupported("cudnn", CPU, HALF).startswith("Its trial failed: ")


def test_a_kernel_that_is_right_passes_and_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = install(monkeypatch)
    assert attention_unsupported("flash_2", CPU, HALF) is None
    assert attention_unsupported("flash_2", CPU, HALF) is None
    assert asked == [(1, 333, 3, 128)] * 2, "one self-attention, one to fewer keys"


@pytest.mark.parametrize("off_by", [0.2, float("nan")])
def test_a_kernel_that_computes_wrongly_is_refused(monkeypatch: pytest.MonkeyPatch, off_by: float) -> None:
    install(monkeypatch, off_by)
    assert attention_unsupported("flash_2", CPU, HALF).startswith("It computes wrongly here: it is off by")


def test_memory_that_is_short_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)

    def full(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setitem(KERNELS, "flash_2", replace(KERNELS["flash_2"], run=full))
    assert "memory was short" in attention_unsupported("flash_2", CPU, HALF)


def test_what_a_kernel_does_not_take_goes_to_torchs_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = install(monkeypatch)
    use_attention("flash_2")
    query = torch.randn(1, 5, 2, 64)
    right = attention(query, query, query)
    assert asked == [], "float32 is not for it"
    half = query.to(HALF)
    torch.testing.assert_close(attention(half, half, half).float(), right, rtol=0.05, atol=0.05)
    assert asked == [(1, 5, 2, 64)]
    attention(half, half, half, torch.zeros(5, dtype=HALF))
    assert len(asked) == 1, "nor is a bias"
    assert chosen._chosen == [KERNELS["flash_2"]]
