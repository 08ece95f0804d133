"""The demo models, which are built in and small enough for any laptop.

All lie in one folder and share its text encoder, tokenizer and VAE; a model that sees more than text has
a folder of its own in there for what is its own.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from wan_core.catalog.parts import FIRST_AND_LAST, IMAGE, TEXT_TASKS, TOKENIZER, UMT5, VAE
from wan_core.catalog.spec import ModelSpec, Role, SamplingDefaults, WeightFiles
from wan_core.catalog.vace import VACE_TASKS
from wan_core.models.clip.config import CLIPConfig
from wan_core.models.dit.config import DiTConfig
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.vae.config import VAEConfig

DEMO_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "demo"

_CLIP = CLIPConfig(dim=64, dim_mlp=128, num_heads=2, num_layers=2, image_size=56)
_SHARDS = "diffusion_pytorch_model.safetensors.index.json"

DEMO = ModelSpec(
    id="demo",
    title="Demo (built in)",
    inputs=TEXT_TASKS,
    repo="",
    revision="",
    licence="Apache-2.0",
    dit=DiTConfig(dim=256, ffn_dim=512, num_heads=8, num_layers=5, text_dim=128, text_len=64),
    vae=VAEConfig(dim=16, num_res_blocks=1),
    text_encoder=UMT5Config(vocab_size=512, dim=128, dim_attn=128, dim_ffn=256, num_heads=4, num_layers=2),
    weights={
        Role.TRANSFORMER: WeightFiles(("diffusion_pytorch_model.safetensors",), 0),
        Role.TEXT_ENCODER: WeightFiles(UMT5.files, 0),
        Role.VAE: WeightFiles(VAE.files, 0),
    },
    tokenizer=WeightFiles(TOKENIZER.files, 0),
    defaults=SamplingDefaults(
        width=64,
        height=64,
        num_frames=17,
        num_inference_steps=20,
        guidance_scale=3.0,
        shift=3.0,
        fps=8,
        negative_prompt="",
    ),
    sizes=((64, 64),),
    max_frames=25,
    folder=DEMO_FOLDER,
)

DEMO_IMAGE = dataclasses.replace(
    DEMO,
    id="demo-image",
    title="Demo image to video (built in)",
    inputs={"i2v": IMAGE, "flf2v": FIRST_AND_LAST},
    dit=dataclasses.replace(DEMO.dit, in_dim=36, image_dim=_CLIP.dim),
    image_encoder=_CLIP,
    weights={
        **DEMO.weights,
        Role.TRANSFORMER: WeightFiles((f"image/{_SHARDS}",), 0),
        Role.IMAGE_ENCODER: WeightFiles(
            ("image/models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth",), 0
        ),
    },
)
"""From a first frame, or from a first and a last: laid out as PAI's Fun-InP."""

DEMO_VACE = dataclasses.replace(
    DEMO,
    id="demo-vace",
    title="Demo VACE (built in)",
    inputs=VACE_TASKS,
    dit=dataclasses.replace(DEMO.dit, vace_in_dim=96, vace_layers=(0, 2, 4)),
    weights={**DEMO.weights, Role.TRANSFORMER: WeightFiles((f"vace/{_SHARDS}",), 0)},
)
"""Masks, kept frames, edges and references, beside the transformer of ``DEMO``, which is left as it is."""

ROWS = (DEMO, DEMO_IMAGE, DEMO_VACE)
