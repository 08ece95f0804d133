"""A LoRA for the demo model, and where a server has it."""

from __future__ import annotations

import torch
from safetensors.torch import save

from tests.manager.tls_server import TlsServer
from wan_core.catalog import find_model
from wan_core.manager.lora_address import WebFile
from wan_core.schema import ProgressEvent

WIDTH = find_model("demo").dit.dim


def lora(rank: int = 4, width: int = WIDTH, layer: str = "diffusion_model.blocks.0.self_attn.q") -> bytes:
    down, up = torch.ones(rank, width), torch.ones(width, rank)
    return save({f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up})


FILE = lora()


def quiet(event: ProgressEvent) -> None:
    pass


def web(server: TlsServer, path: str = "/a/paper.safetensors") -> WebFile:
    return WebFile(f"{server.url}{path}")
