"""Trained parts -> the official file layout of a Wan2.1 folder."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.checkpoint import to_official_keys
from wan_core.models.vae.model import WanVAE
from wan_core.training.dit_training import FlowMatching

TRANSFORMER_FILE = "diffusion_pytorch_model.safetensors"
TEXT_ENCODER_FILE = "models_t5_umt5-xxl-enc-bf16.pth"
VAE_FILE = "Wan2.1_VAE.pth"
PREVIEW_FILE = "latent_rgb.json"


def export_vae(vae: WanVAE, folder: Path, samples: Tensor) -> None:
    """Write the VAE, float16, and the table that previews its latents; ``samples`` (B, 3, T, H, W)."""
    torch.save(_stored(vae.state_dict(), torch.float16), folder / VAE_FILE)
    (folder / PREVIEW_FILE).write_text(json.dumps(fit_preview(vae, samples)) + "\n")


def export_transformer(trained: FlowMatching, folder: Path) -> None:
    """Write the DiT, float16, with its ``config.json``, and the text encoder, bfloat16."""
    save_file(_stored(trained.dit.state_dict(), torch.float16), folder / TRANSFORMER_FILE)
    (folder / "config.json").write_text(json.dumps(official_config(trained.dit), indent=2) + "\n")
    text = to_official_keys(trained.text_encoder.state_dict())
    torch.save(_stored(text, torch.bfloat16), folder / TEXT_ENCODER_FILE)


def official_config(dit: WanDiT) -> dict[str, object]:
    """What the official ``config.json`` says of a DiT; patch size and text width are left to defaults."""
    sizes = dataclasses.asdict(dit.config)
    kept = ("dim", "eps", "ffn_dim", "freq_dim", "in_dim", "num_heads", "num_layers", "out_dim", "text_len")
    return {"_class_name": "WanModel", "model_type": "t2v", **{name: sizes[name] for name in kept}}


@torch.no_grad()
def fit_preview(vae: WanVAE, samples: Tensor) -> dict[str, list]:
    """Least-squares map from normalised latents to the colours of the last frame that each stands for."""
    latents = vae.encode(samples)
    frames = samples[:, :, ::4]
    small = torch.nn.functional.avg_pool3d(frames, (1, 8, 8))
    rows = latents.transpose(0, 1).flatten(1).T
    rows = torch.cat([rows, torch.ones(len(rows), 1)], dim=1)
    colours = small.transpose(0, 1).flatten(1).T
    fitted = torch.linalg.lstsq(rows, colours).solution
    rounded = [[round(v, 4) for v in row] for row in fitted.tolist()]
    return {"factors": rounded[:-1], "bias": rounded[-1]}


def _stored(state: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: tensor.detach().to(dtype).contiguous() for name, tensor in state.items()}
