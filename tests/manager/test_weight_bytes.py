"""The formulas of the planner against the modules themselves, built without memory."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from wan_core.catalog import MODELS, ModelSpec, Role
from wan_core.catalog.demo import DEMO_IMAGE, DEMO_VACE
from wan_core.manager.weight_bytes import PartNumbers, part_numbers
from wan_core.models.clip.model import CLIPImageEncoder
from wan_core.models.dit.config import MotionConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.dit.motion import MotionController
from wan_core.models.umt5.model import build_encoder
from wan_core.models.vae.model import WanVAE

SPECS = {**MODELS, DEMO_IMAGE.id: DEMO_IMAGE, DEMO_VACE.id: DEMO_VACE}


def build(spec: ModelSpec, role: Role) -> nn.Module:
    with torch.device("meta"):
        return {
            Role.TRANSFORMER: lambda: WanDiT(spec.dit),
            Role.TEXT_ENCODER: lambda: build_encoder(spec.text_encoder),
            Role.VAE: lambda: WanVAE(spec.vae),
            Role.IMAGE_ENCODER: lambda: CLIPImageEncoder(spec.image_encoder),
            Role.MOTION_CONTROLLER: lambda: MotionController(MotionConfig(spec.dit.dim)),
        }[role]()


def nbytes(module: nn.Module, keep_in_fp32=lambda name: False, itemsize: int = 2) -> int:
    return sum(
        tensor.numel() * (4 if keep_in_fp32(name) else itemsize)
        for name, tensor in itertools.chain(module.named_parameters(), module.named_buffers())
    )


def kept(part: PartNumbers, scheme: str, plain: str) -> int:
    blocks = (piece for block in part.blocks for piece in block)
    return sum(piece.nbytes(scheme, plain) for piece in (part.outside, *blocks))


def sizes(spec: ModelSpec, role: Role) -> object:
    return {
        Role.TRANSFORMER: spec.dit,
        Role.TEXT_ENCODER: spec.text_encoder,
        Role.VAE: spec.vae,
        Role.IMAGE_ENCODER: spec.image_encoder,
        Role.MOTION_CONTROLLER: spec.dit.dim,
    }[role]


def parts() -> list[tuple[str, Role]]:
    """Every different part of the catalog once."""
    different = {(role, sizes(spec, role)): spec.id for spec in SPECS.values() for role in spec.weights}
    return [(model, role) for (role, _), model in different.items()]


@pytest.mark.parametrize(("model", "role"), parts())
def test_formulas_give_the_bytes_of_the_module(model: str, role: Role) -> None:
    spec = SPECS[model]
    module, part = build(spec, role), part_numbers(spec, role)
    fp32 = getattr(module, "keep_in_fp32", lambda name: False)
    assert kept(part, "bf16", "bf16") == nbytes(module, fp32)
    assert kept(part, "fp32", "fp32") == nbytes(module, itemsize=4)


@pytest.mark.parametrize("model", ["wan2.1-t2v-1.3b", "wan2.1-vace-14b", "recammaster-1.3b"])
def test_blocks_are_those_of_the_module(model: str) -> None:
    spec = SPECS[model]
    dit, part = build(spec, Role.TRANSFORMER), part_numbers(spec, Role.TRANSFORMER)
    blocks = [nbytes(block, WanDiT.keep_in_fp32) for block in (*dit.blocks, *dit.vace_blocks)]
    assert [sum(piece.nbytes("bf16", "bf16") for piece in block) for block in part.blocks] == blocks


def test_blocks_of_the_text_encoder() -> None:
    spec = SPECS["wan2.1-t2v-14b"]
    encoder, part = build(spec, Role.TEXT_ENCODER), part_numbers(spec, Role.TEXT_ENCODER)
    blocks = [nbytes(block) for block in encoder.encoder.block]
    assert [sum(piece.nbytes("bf16", "bf16") for piece in block) for block in part.blocks] == blocks


def test_known_sizes() -> None:
    small, large = (part_numbers(SPECS[f"wan2.1-t2v-{size}"], Role.TRANSFORMER) for size in ("1.3b", "14b"))
    assert kept(small, "fp32", "fp32") == 4 * 1_418_996_800
    assert kept(large, "fp32", "fp32") == 4 * 14_288_491_584
    assert kept(large, "fp8_scaled", "bf16") == 14_910_945_536
