"""fp16 accumulation is switched on where it was asked for and is possible, and off again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from wan_core.quantization.fp16_accumulation import allow_fp16_accumulation
from wan_core.schema.schemes import DeviceFacts

CARD = DeviceFacts("cuda", (8, 6), "RTX 3090")
CPU = DeviceFacts("cpu", name="CPU")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_fp16_accumulation
    yield
    torch.backends.cuda.matmul.allow_fp16_accumulation = before


@pytest.mark.parametrize(
    ("facts", "allowed", "on"), [(CARD, True, True), (CARD, False, False), (CPU, True, False)]
)
def test_the_flag_follows(facts: DeviceFacts, allowed: bool, on: bool) -> None:
    torch.backends.cuda.matmul.allow_fp16_accumulation = not on
    assert allow_fp16_accumulation(facts, allowed) is on
    assert torch.backends.cuda.matmul.allow_fp16_accumulation is on
