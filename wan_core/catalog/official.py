"""The official Wan2.1 models."""

from __future__ import annotations

import dataclasses

from wan_core.catalog.parts import SIZES_480P, SIZES_720P, TEXT_TASKS, TOKENIZER, UMT5, VAE
from wan_core.catalog.spec import ModelSpec, Role, SamplingDefaults, WeightFiles
from wan_core.models.dit.config import DiTConfig
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.vae.config import VAEConfig

_SMALL = ModelSpec(
    id="wan2.1-t2v-1.3b",
    title="Wan2.1 T2V 1.3B",
    inputs=TEXT_TASKS,
    repo="Wan-AI/Wan2.1-T2V-1.3B",
    revision="37ec512624d61f7aa208f7ea8140a131f93afc9a",
    licence="Apache-2.0",
    dit=DiTConfig(dim=1536, ffn_dim=8960, num_heads=12, num_layers=30),
    vae=VAEConfig(),
    text_encoder=UMT5Config(),
    weights={
        Role.TRANSFORMER: WeightFiles(
            ("diffusion_pytorch_model.safetensors",),
            5_676_070_424,
            ("96b6b242ca1c2f24e9d02cd6596066fab6d310e2d7538f33ae267cb18d957e8f",),
        ),
        Role.TEXT_ENCODER: UMT5,
        Role.VAE: VAE,
    },
    tokenizer=TOKENIZER,
    defaults=SamplingDefaults(width=832, height=480, guidance_scale=6.0, shift=8.0),
    sizes=SIZES_480P,
    max_frames=257,
)

ROWS = (
    _SMALL,
    dataclasses.replace(
        _SMALL,
        id="wan2.1-t2v-14b",
        title="Wan2.1 T2V 14B",
        repo="Wan-AI/Wan2.1-T2V-14B",
        revision="a064a6c71f5be440641209c07bf2a5ce7a2ff5e4",
        dit=DiTConfig(dim=5120, ffn_dim=13824, num_heads=40, num_layers=40),
        weights={
            **_SMALL.weights,
            Role.TRANSFORMER: WeightFiles(
                ("diffusion_pytorch_model.safetensors.index.json",), 57_154_174_197
            ),
        },
        defaults=SamplingDefaults(width=832, height=480),
        sizes=SIZES_480P + SIZES_720P,
    ),
)
