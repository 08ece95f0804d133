"""What the page counts of a LoRA from its header is what the job finds of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch

from tests.lora.making import CONFIG, Tensors, low_rank, noise, tiny_dit, use
from tests.models.dit_kinds import KINDS
from wan_core.lora.fitting import Lora, fit, targets
from wan_core.lora.sorting import count_parts
from wan_core.models.dit.model import WanDiT
from wan_core.models.dit.parts import part_shapes

WORDS = ("lora_down.weight", "lora_up.weight", "alpha")


@pytest.mark.parametrize("kind", KINDS)
def test_the_parts_of_every_kind_are_known_without_building_it(kind: str) -> None:
    with torch.device("meta"):
        assert part_shapes(KINDS[kind]) == targets(WanDiT(KINDS[kind]))


def of_images() -> Tensors:
    image = tiny_dit(dataclasses.replace(CONFIG, in_dim=36, image_dim=24))
    paths = ("blocks.0.cross_attn.k_img", "blocks.0.self_attn.q", "patch_embedding")
    return low_rank(image, paths, lambda path: "lora_unet_" + path.replace(".", "_"), WORDS)[0]


def mixed() -> Tensors:
    return {
        "blocks.0.self_attn.q.lora_A.weight": noise(4, 48),  # without its other half
        "blocks.0.norm3.diff": noise(48),
        "blocks.1.norm3.diff": noise(47),
        "blocks.1.diff_m": noise(1, 6, 48),
        "blocks.1.ffn.0.diff": noise(96, 48),
        "blocks.0.ffn.0.diff": noise(48, 96),
        "blocks.0.self_attn.k.diff_b": noise(48),
        "blocks.0.self_attn.v.lokr_w1": noise(6, 6),
        "blocks.0.self_attn.v.lokr_w2": noise(8, 8),
        "lora_te_text.lora_down.weight": noise(4, 4),
        "something.else": noise(1),
    }


def control() -> Tensors:
    return {
        "patch_embedding.lora_A.weight": noise(4, 32, 1, 2, 2),
        "patch_embedding.lora_B.weight": noise(48, 4, 1, 1, 1),
    }


@pytest.mark.parametrize(("make", "counts"), [(of_images, (1, 3)), (mixed, (5, 10)), (control, (1, 1))])
def test_the_count_of_a_header_is_the_report_of_the_job(
    make: Callable[[], Tensors], counts: tuple[int, int]
) -> None:
    tensors = make()
    report = fit(Lora(use(), tensors), tiny_dit()).report
    assert (report.matched, report.matched + len(report.unmatched)) == counts
    assert count_parts({name: tuple(tensor.shape) for name, tensor in tensors.items()}, CONFIG) == counts
