"""Methods that work inside the model fit into the room that is planned for a plain pass."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest
import torch

from tests.models.live_bytes import LiveBytes
from tests.models.test_dit_memory import GRID, flash, inputs
from wan_core.catalog import MODELS
from wan_core.models.dit import blocks, model
from wan_core.models.dit.adjusting import Adjustments, Nag
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.dit.model import WanDiT


@pytest.mark.parametrize("name", ["wan2.1-t2v-1.3b", "wan2.1-t2v-14b", "wan2.1-i2v-14b-480p"])
def test_nag_and_enhancement_fit_into_the_planned_room(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(blocks, "attention", flash)
    monkeypatch.setattr(model.torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # none for "meta"
    config = dataclasses.replace(MODELS[name].dit, num_layers=4)
    with torch.device("meta"):
        dit = WanDiT(config)
    for part, parameter in dit.named_parameters():
        parameter.data = parameter.data.to(torch.float32 if WanDiT.keep_in_fp32(part) else torch.bfloat16)
    with torch.inference_mode(), LiveBytes() as live:
        latents, prompt = torch.empty(1, 16, *GRID, device="meta"), torch.empty(1, 512, 4096, device="meta")
        adjustments = Adjustments(nag=Nag(prompt, 11.0, 2.5, 0.25), enhance=2.0, riflex=6)
        seen = DiTConditioning(**inputs(config), adjustments=adjustments)
        dit(latents, torch.empty(1, device="meta"), prompt, seen)
    assert live.peak < config.working_bytes(*GRID)
