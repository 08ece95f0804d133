"""The official models that begin from pictures. Imports no torch."""

from __future__ import annotations

import dataclasses

from wan_core.catalog.official import ROWS as OFFICIAL
from wan_core.catalog.parts import CLIP, FIRST_AND_LAST, IMAGE, SIZES_480P, SIZES_720P, TOKENIZER, UMT5, VAE
from wan_core.catalog.spec import OFFICIAL_NEGATIVE_PROMPT, ModelSpec, Role, SamplingDefaults, WeightFiles
from wan_core.models.clip.config import CLIPConfig

LARGE = next(row for row in OFFICIAL if row.id == "wan2.1-t2v-14b")
_SHARDS = ("diffusion_pytorch_model.safetensors.index.json",)

I2V_NEGATIVE_PROMPT = f"镜头晃动，{OFFICIAL_NEGATIVE_PROMPT}"
FLF2V_NEGATIVE_PROMPT = f"镜头切换，{I2V_NEGATIVE_PROMPT}"

_I2V_DIT = dataclasses.replace(LARGE.dit, in_dim=36, image_dim=CLIPConfig.dim)

# The sizes are those of the seven shards; of all but the 480P model they follow from the parameters.
_I2V_480P = ModelSpec(
    id="wan2.1-i2v-14b-480p",
    title="Wan2.1 I2V 14B 480P",
    inputs={"i2v": IMAGE, "flf2v": FIRST_AND_LAST},
    repo="Wan-AI/Wan2.1-I2V-14B-480P",
    revision="6b73f84e66371cdfe870c72acd6826e1d61cf279",
    licence="Apache-2.0",
    dit=_I2V_DIT,
    vae=LARGE.vae,
    text_encoder=LARGE.text_encoder,
    weights={
        Role.TRANSFORMER: WeightFiles(_SHARDS, 65_579_648_512),
        Role.TEXT_ENCODER: UMT5,
        Role.VAE: VAE,
        Role.IMAGE_ENCODER: CLIP,
    },
    tokenizer=TOKENIZER,
    defaults=SamplingDefaults(
        width=832,
        height=480,
        num_inference_steps=40,
        negative_prompt=I2V_NEGATIVE_PROMPT,
    ),
    sizes=SIZES_480P,
    max_frames=257,
    shift_480p=3.0,
    image_encoder=CLIPConfig(),
    note="A last frame is taken too, but it was not made for that.",
)

ROWS: tuple[ModelSpec, ...] = (
    _I2V_480P,
    dataclasses.replace(
        _I2V_480P,
        id="wan2.1-i2v-14b-720p",
        title="Wan2.1 I2V 14B 720P",
        repo="Wan-AI/Wan2.1-I2V-14B-720P",
        revision="8823af45fcc58a8aa999a54b04be9abc7d2aac98",
        defaults=dataclasses.replace(_I2V_480P.defaults, width=1280, height=720),
        sizes=SIZES_720P + SIZES_480P,
    ),
    dataclasses.replace(
        _I2V_480P,
        id="wan2.1-flf2v-14b-720p",
        title="Wan2.1 FLF2V 14B 720P",
        inputs={"flf2v": FIRST_AND_LAST},
        repo="Wan-AI/Wan2.1-FLF2V-14B-720P",
        revision="c8db168d95d3ebeb63430b3b6d264885cb8a0df3",
        dit=dataclasses.replace(_I2V_DIT, image_positions=2 * CLIPConfig().num_tokens),
        weights={**_I2V_480P.weights, Role.TRANSFORMER: WeightFiles(_SHARDS, 65_582_280_288)},
        defaults=SamplingDefaults(width=1280, height=720, shift=16.0, negative_prompt=FLF2V_NEGATIVE_PROMPT),
        sizes=SIZES_720P + SIZES_480P,
        shift_480p=None,
        note="",
    ),
)
