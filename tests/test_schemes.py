"""Bytes and devices of the ways of keeping weights."""

from __future__ import annotations

from typing import get_args

import pytest

from wan_core.schema.schemes import (
    GGUF_SCHEMES,
    SCHEMES,
    DeviceFacts,
    fp16_accumulation_unsupported,
)
from wan_core.schema.settings import Precision

TURING = DeviceFacts("cuda", (7, 5), "RTX 2080")
AMPERE = DeviceFacts("cuda", (8, 6), "RTX 3090")
ADA = DeviceFacts("cuda", (8, 9), "RTX 4090")
PASCAL = DeviceFacts("cuda", (6, 1), "GTX 1080")
APPLE = DeviceFacts("mps", name="Apple M3")
AMD = DeviceFacts("rocm", name="RX 7900")
CPU = DeviceFacts("cpu", name="the CPU")


def test_every_precision_that_can_be_set_is_a_scheme() -> None:
    assert {"auto", *(s.id for s in SCHEMES.values() if s.selectable)} == set(get_args(Precision))


@pytest.mark.parametrize(
    ("scheme", "size"),
    [
        ("fp32", 4 * 512 * 256),
        ("bf16", 2 * 512 * 256),
        ("fp8_e4m3", 512 * 256),
        ("fp8_scaled", 512 * 256 + 4 * 512),
        ("int8", 512 * 256 + 4 * 512),
        ("gguf_q4_k", 512 * 144),
        ("gguf_q8_0", 512 * 8 * 34),
    ],
)
def test_bytes_of_a_matrix(scheme: str, size: int) -> None:
    assert SCHEMES[scheme].nbytes((512, 256)) == size


def test_bits_per_weight() -> None:
    bits = {name: scheme.bits for name, scheme in GGUF_SCHEMES.items()}
    assert bits == {
        "Q8_0": 8.5,
        "Q6_K": 6.5625,
        "Q5_K": 5.5,
        "Q5_1": 6.0,
        "Q5_0": 5.5,
        "Q4_K": 4.5,
        "Q4_1": 5.0,
        "Q4_0": 4.5,
        "Q3_K": 3.4375,
        "Q2_K": 2.625,
        "IQ4_NL": 4.5,
        "IQ4_XS": 4.25,
    }


def test_what_a_card_cannot_do_is_said() -> None:
    assert "RTX 2080 has no bfloat16" in SCHEMES["bf16"].unsupported(TURING)
    for facts in (AMPERE, ADA, APPLE, AMD, CPU):
        assert not [scheme.id for scheme in SCHEMES.values() if scheme.unsupported(facts)]


def test_scaled_fp8_says_where_it_is_only_unpacked() -> None:
    scheme = SCHEMES["fp8_scaled"]
    assert scheme.remark(ADA) is None
    for facts in (AMPERE, TURING, APPLE, AMD, CPU):
        assert facts.name in scheme.remark(facts)


def test_fp16_accumulation_needs_an_nvidia_card() -> None:
    assert fp16_accumulation_unsupported(TURING) is None
    for facts in (PASCAL, APPLE, AMD, CPU):
        assert facts.name in fp16_accumulation_unsupported(facts)
