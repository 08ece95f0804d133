"""Trained parts -> the official file layout of a Wan2.1 folder."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import UMT5EncoderModel

from wan_core.models.clip.model import CLIPImageEncoder
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.checkpoint import to_official_keys
from wan_core.models.vae.model import WanVAE

TRANSFORMER_FILE = "diffusion_pytorch_model.safetensors"
TEXT_ENCODER_FILE = "models_t5_umt5-xxl-enc-bf16.pth"
IMAGE_ENCODER_FILE = "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth"
VAE_FILE = "Wan2.1_VAE.pth"
PREVIEW_FILE = "latent_rgb.json"
MAX_FILE_BYTES = 9_500_000  # of tensors in a file of the transformer


def export_vae(vae: WanVAE, folder: Path, samples: Tensor) -> None:
    """Write the VAE, float16, and the table that previews its latents; ``samples`` (B, 3, T, H, W)."""
    torch.save(_stored(vae.state_dict(), torch.float16), folder / VAE_FILE)
    (folder / PREVIEW_FILE).write_text(json.dumps(fit_preview(vae, samples)) + "\n")


def export_transformer(dit: WanDiT, folder: Path) -> None:
    """Write a DiT, float16, with its ``config.json``; what is too large for one file becomes shards."""
    folder.mkdir(parents=True, exist_ok=True)
    state = _stored(dit.state_dict(), torch.float16)
    shards = split_state(state, MAX_FILE_BYTES)
    if len(shards) == 1:
        save_file(state, folder / TRANSFORMER_FILE)
    else:
        _write_shards(shards, folder)
    (folder / "config.json").write_text(json.dumps(official_config(dit), indent=2) + "\n")


def export_text_encoder(encoder: UMT5EncoderModel, folder: Path) -> None:
    """Write the text encoder, bfloat16."""
    torch.save(_stored(to_official_keys(encoder.state_dict()), torch.bfloat16), folder / TEXT_ENCODER_FILE)


def export_image_encoder(encoder: CLIPImageEncoder, folder: Path) -> None:
    """Write the image encoder, float16, with the last block that the official file has and nothing runs."""
    state = encoder.state_dict()
    last, unused = (f"transformer.{encoder.config.num_layers - back}." for back in (1, 0))
    for name in [name for name in state if name.startswith(last)]:
        state[name.replace(last, unused)] = torch.zeros_like(state[name])
    official = {f"visual.{name}": tensor for name, tensor in state.items()}
    torch.save(_stored(official, torch.float16), folder / IMAGE_ENCODER_FILE)


def official_config(dit: WanDiT) -> dict[str, object]:
    """What the official ``config.json`` says of a DiT; patch size and text width are left to defaults."""
    sizes = dataclasses.asdict(dit.config)
    kept = ("dim", "eps", "ffn_dim", "freq_dim", "in_dim", "num_heads", "num_layers", "out_dim", "text_len")
    vace = ("vace_in_dim", "vace_layers") if dit.config.vace_layers else ()
    name = "VaceWanModel" if vace else "WanModel"
    return {"_class_name": name, "model_type": dit.config.kind, **{n: sizes[n] for n in (*kept, *vace)}}


def split_state(state: dict[str, Tensor], most: int) -> list[dict[str, Tensor]]:
    """Tensors in their order, parted where a part would have more than ``most`` bytes."""
    shards: list[dict[str, Tensor]] = [{}]
    for name, tensor in state.items():
        if sum(other.nbytes for other in shards[-1].values()) + tensor.nbytes > most:
            shards.append({})
        shards[-1][name] = tensor
    return shards


def _write_shards(shards: list[dict[str, Tensor]], folder: Path) -> None:
    stem, suffix = TRANSFORMER_FILE.split(".", 1)
    names = [f"{stem}-{number:05}-of-{len(shards):05}.{suffix}" for number in range(1, len(shards) + 1)]
    for name, shard in zip(names, shards, strict=True):
        save_file(shard, folder / name)
    size = sum(tensor.nbytes for shard in shards for tensor in shard.values())
    weight_map = {key: name for name, shard in zip(names, shards, strict=True) for key in shard}
    index = {"metadata": {"total_size": size}, "weight_map": weight_map}
    (folder / f"{TRANSFORMER_FILE}.index.json").write_text(json.dumps(index, indent=1) + "\n")


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
