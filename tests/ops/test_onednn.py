"""Which precision of products is chosen on a CPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wan_core.ops import onednn


@pytest.mark.parametrize(
    ("narrow", "wide", "gains"), [(2.0, 1.0, True), (1.2, 1.0, False), (1.0, 2.0, False)]
)
def test_float32_is_taken_where_it_is_much_faster(
    narrow: float, wide: float, gains: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]

    def linear(weight: Tensor, bias: None, gelu: bool, x: Tensor) -> None:
        clock[0] += wide if weight.dtype == torch.float32 else narrow

    monkeypatch.setattr(onednn, "linear", linear)
    monkeypatch.setattr(onednn, "works_with", lambda dtype: True)
    monkeypatch.setattr(onednn.time, "perf_counter", lambda: clock[0])
    assert onednn.gains_by_float32.__wrapped__(torch.bfloat16) is gains
    assert onednn.gains_by_float32.__wrapped__(torch.float32) is False


def test_float32_is_taken_where_16_bits_do_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "works_with", lambda dtype: dtype == torch.float32)
    assert onednn.gains_by_float32.__wrapped__(torch.bfloat16) is True
    monkeypatch.setattr(onednn, "works_with", lambda dtype: False)
    assert onednn.gains_by_float32.__wrapped__(torch.bfloat16) is False
