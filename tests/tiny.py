"""A tiny Wan with random weights, as a folder in the official layout: the whole code path in a second."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import sentencepiece
import torch
from safetensors.torch import save_file

from tests.models.randomise import randomise
from wan_core.catalog import ModelSpec, Role, SamplingDefaults, WeightFiles
from wan_core.catalog.demo import DEMO
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.checkpoint import to_official_keys
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.umt5.model import build_encoder
from wan_core.models.vae.config import VAEConfig
from wan_core.models.vae.model import WanVAE

DIT = DiTConfig(dim=48, ffn_dim=96, num_heads=4, num_layers=2, text_dim=32)
VAE = VAEConfig(dim=8)
UMT5 = UMT5Config(vocab_size=128, dim=32, dim_attn=32, dim_ffn=64, num_heads=4, num_layers=2)

DIT_FILE = "diffusion_pytorch_model.safetensors"
UMT5_FILE = "models_t5_umt5-xxl-enc-bf16.pth"
VAE_FILE = "Wan2.1_VAE.pth"
TOKENIZER_FILE = "google/umt5-xxl/spiece.model"

_SENTENCES = (
    "a red circle moves to the left over a blue sky",
    "two white squares bounce at night",
    "the green star grows on grey ground, low quality, blurred",
    "一只猫在月光下跳舞",
    "色调艳丽，过曝，静态，细节模糊不清",
)


def write_tiny_model(folder: Path, seed: int = 0) -> ModelSpec:
    """Write the files of a random tiny model to ``folder``; returns its catalog row, id ``tiny``."""
    (folder / TOKENIZER_FILE).parent.mkdir(parents=True)
    dit = randomise(WanDiT(DIT), seed)
    save_file(dit.state_dict(), folder / DIT_FILE)
    (folder / "config.json").write_text(json.dumps(_dit_config_json()))
    encoder = randomise(build_encoder(UMT5), seed + 1)
    state = {name: tensor.clone() for name, tensor in to_official_keys(encoder.state_dict()).items()}
    torch.save(state, folder / UMT5_FILE)
    torch.save(randomise(WanVAE(VAE), seed + 2).state_dict(), folder / VAE_FILE)
    (folder / TOKENIZER_FILE).write_bytes(_sentencepiece_model())
    return tiny_spec(folder)


def tiny_spec(folder: Path) -> ModelSpec:
    """The catalog row of a folder that ``write_tiny_model`` wrote."""
    files = {Role.TRANSFORMER: DIT_FILE, Role.TEXT_ENCODER: UMT5_FILE, Role.VAE: VAE_FILE}
    return dataclasses.replace(
        DEMO,
        id="tiny",
        title="Tiny",
        dit=DIT,
        vae=VAE,
        text_encoder=UMT5,
        weights={role: WeightFiles((name,), 0) for role, name in files.items()},
        tokenizer=WeightFiles((TOKENIZER_FILE,), 0),
        defaults=SamplingDefaults(32, 32, 5, 3, 4.0, 3.0, 8, "low quality"),
        sizes=((32, 32),),
        max_frames=17,
        folder=folder,
    )


def write_variant(base: ModelSpec, folder: Path, dit: DiTConfig, seed: int = 0) -> ModelSpec:
    """Write a random transformer of ``dit``; what else a model has is shared with ``base`` by links."""
    (folder / TOKENIZER_FILE).parent.mkdir(parents=True)
    for name in (UMT5_FILE, VAE_FILE, TOKENIZER_FILE):
        (folder / name).symlink_to(base.folder / name)
    save_file(randomise(WanDiT(dit), seed).state_dict(), folder / DIT_FILE)
    (folder / "config.json").write_text(json.dumps({"num_heads": dit.num_heads, "text_len": dit.text_len}))
    return dataclasses.replace(base, id=f"tiny-{dit.kind}", title=f"Tiny {dit.kind}", dit=dit, folder=folder)


def _dit_config_json() -> dict[str, object]:
    return {
        "_class_name": "WanModel",
        "model_type": "t2v",
        "dim": DIT.dim,
        "ffn_dim": DIT.ffn_dim,
        "num_heads": DIT.num_heads,
        "num_layers": DIT.num_layers,
        "in_dim": DIT.in_dim,
        "out_dim": DIT.out_dim,
        "freq_dim": DIT.freq_dim,
        "text_len": DIT.text_len,
        "eps": DIT.eps,
    }


def _sentencepiece_model() -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_SENTENCES * 20),
        model_writer=model,
        vocab_size=UMT5.vocab_size,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return model.getvalue()
