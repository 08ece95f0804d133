"""Every GGUF type against the ``gguf`` package, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wan_core.quantization.gguf_blocks import UNPACK_BLOCKS
from wan_core.schema.schemes import GGUF_SCHEMES

gguf = pytest.importorskip("gguf")


def random_blocks(name: str, count: int, seed: int = 0) -> np.ndarray:
    """Blocks of random bytes whose float16 scales are finite: (count, bytes), uint8."""
    generator = np.random.default_rng(seed)
    size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]][1]
    blocks = generator.integers(0, 256, (count, size), dtype=np.uint8)
    halves = {"Q2_K": (80, 82), "Q3_K": (108,), "Q6_K": (208,), "Q4_K": (0, 2), "Q5_K": (0, 2)}
    for start in halves.get(name, (0, 2) if name.endswith("_1") else (0,)):
        scales = generator.standard_normal(count).astype(np.float16)
        blocks[:, start : start + 2] = scales.view(np.uint8).reshape(count, 2)
    return blocks


def test_every_type_of_the_table_can_be_unpacked() -> None:
    assert UNPACK_BLOCKS.keys() == GGUF_SCHEMES.keys()
    for name, scheme in GGUF_SCHEMES.items():
        sizes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
        assert sizes == (scheme.block, scheme.block_bytes)


@pytest.mark.parametrize("name", UNPACK_BLOCKS)
def test_unpacks_as_the_gguf_package_does(name: str) -> None:
    blocks = random_blocks(name, 300)
    expected = gguf.dequantize(blocks, gguf.GGMLQuantizationType[name])
    found = UNPACK_BLOCKS[name](torch.from_numpy(blocks))
    assert found.dtype == torch.float32
    assert np.array_equal(found.numpy(), expected)
