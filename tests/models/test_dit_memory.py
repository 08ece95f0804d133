"""What the official transformers hold at their peak, counted on tensors without memory."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest
import torch
from torch import Tensor

from tests.models.live_bytes import LiveBytes
from wan_core.catalog import MODELS
from wan_core.models.dit import blocks, model
from wan_core.models.dit.conditioning import DiTConditioning, read_by
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT

GRID = (21, 60, 104)  # 81 frames of 832x480


def flash(
    query: Tensor, key: Tensor, value: Tensor, key_bias: Tensor | None = None, grid: object = None
) -> Tensor:
    """Takes what a kernel for GPUs takes: its result."""
    return query.new_empty(*query.shape[:2], query.shape[2] * query.shape[3])


def inputs(config: DiTConfig) -> dict[str, Tensor]:
    frames, height, width = GRID
    shapes = {
        "channel_latents": (1, config.in_dim - config.out_dim, *GRID),
        "image_embeds": (1, config.image_positions or 257, config.image_dim),
        "vace_latents": (1, config.vace_in_dim, *GRID),
        "frame_latents": (1, config.out_dim, *GRID),
        "camera": (1, config.camera_dim, frames, 8 * height, 8 * width),
        "camera_path": (1, frames, config.camera_path_dim),
    }
    wanted = [name for name, need in read_by(config).items() if need == "required"]
    wanted += ["camera"] * bool(config.camera_dim) + ["vace_latents"] * bool(config.vace_layers)
    return {name: torch.empty(shapes[name], device="meta") for name in wanted}


def peak(config: DiTConfig, dtype: torch.dtype) -> int:
    """Of one call; a few blocks show what all hold."""
    few = dataclasses.replace(
        config, num_layers=6, vace_layers=tuple(layer for layer in config.vace_layers if layer < 6)
    )
    with torch.device("meta"):
        dit = WanDiT(few)
    for name, parameter in dit.named_parameters():
        parameter.data = parameter.data.to(torch.float32 if WanDiT.keep_in_fp32(name) else dtype)
    with torch.inference_mode(), LiveBytes() as live:
        latents = torch.empty(1, 16, *GRID, device="meta")
        prompt = torch.empty(1, 512, 4096, device="meta")
        dit(latents, torch.empty(1, device="meta"), prompt, DiTConditioning(**inputs(few)))
    return live.peak


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=["bf16", "fp32"])
@pytest.mark.parametrize(
    "name",
    [
        "wan2.1-t2v-1.3b",
        "wan2.1-t2v-14b",
        "wan2.1-i2v-14b-480p",
        "wan2.1-vace-1.3b",
        "wan2.1-vace-14b",
        "wan2.1-fun-v1.1-1.3b-control",
        "wan2.1-fun-v1.1-14b-control-camera",
        "recammaster-1.3b",
    ],
)
def test_the_planned_room_holds_the_peak_and_little_more(
    monkeypatch: pytest.MonkeyPatch, name: str, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(blocks, "attention", flash)
    monkeypatch.setattr(model.torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # none for "meta"
    config = MODELS[name].dit
    room = config.working_bytes(*GRID, itemsize=dtype.itemsize)
    assert 0.92 * room < peak(config, dtype) < room
