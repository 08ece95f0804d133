"""The VACE models: a Wan text-to-video model with a side branch that steers it. Imports no torch."""

from __future__ import annotations

from wan_core.catalog.parts import SIZES_480P, SIZES_720P, TOKENIZER, UMT5, VAE
from wan_core.catalog.spec import ModelSpec, Role, SamplingDefaults, TaskInputs, WeightFiles
from wan_core.models.dit.config import DiTConfig
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.vae.config import VAEConfig
from wan_core.schema.request import Task

_STEERING = ("references", "control_scale", "control_start", "control_end", "fit", "match_input", "crops")
_MASKING = ("mask", "mask_builder", "region", "outpaint", "kept_frames", "keep_exact", "preprocess")

VACE_TASKS: dict[Task, TaskInputs] = {
    "control": TaskInputs(
        "vace",
        (),
        ("video", "video_start", "video_end", *_MASKING, "image", "last_image", "continues", *_STEERING),
    ),
    "i2v": TaskInputs("vace", ("image",), ("continues", *_STEERING)),
    "flf2v": TaskInputs("vace", ("image", "last_image"), _STEERING),
    "t2v": TaskInputs("vace"),
    "t2i": TaskInputs("vace", optional=("image_format",)),
}
"""A picture is a frame that stays; what nothing steers is made from the prompt alone."""

_SMALL = DiTConfig(
    dim=1536, ffn_dim=8960, num_heads=12, num_layers=30, vace_in_dim=96, vace_layers=tuple(range(0, 30, 2))
)
_LARGE = DiTConfig(
    dim=5120, ffn_dim=13824, num_heads=40, num_layers=40, vace_in_dim=96, vace_layers=tuple(range(0, 40, 5))
)

# Reckoned from the shapes: the side branch is in bfloat16, all else in float32, after a header of names.
_SMALL_TRANSFORMER = WeightFiles(("diffusion_pytorch_model.safetensors",), 7_146_067_848)
_LARGE_TRANSFORMER = WeightFiles(("diffusion_pytorch_model.safetensors.index.json",), 63_252_421_620)


def _row(id: str, title: str, repo: str, revision: str, dit: DiTConfig, note: str = "") -> ModelSpec:
    small = dit == _SMALL
    return ModelSpec(
        id=id,
        title=title,
        inputs=VACE_TASKS,
        repo=repo,
        revision=revision,
        licence="Apache-2.0",
        dit=dit,
        vae=VAEConfig(),
        text_encoder=UMT5Config(),
        weights={
            Role.TRANSFORMER: _SMALL_TRANSFORMER if small else _LARGE_TRANSFORMER,
            Role.TEXT_ENCODER: UMT5,
            Role.VAE: VAE,
        },
        tokenizer=TOKENIZER,
        defaults=SamplingDefaults(width=832, height=480, shift=16.0),
        sizes=SIZES_480P if small else SIZES_480P + SIZES_720P,
        max_frames=257,
        note=note,
    )


ROWS = (
    _row(
        "wan2.1-vace-1.3b",
        "Wan2.1 VACE 1.3B",
        "Wan-AI/Wan2.1-VACE-1.3B",
        "574e6a744642ce3bee319afc31496b88bde8aac4",
        _SMALL,
    ),
    _row(
        "wan2.1-vace-14b",
        "Wan2.1 VACE 14B",
        "Wan-AI/Wan2.1-VACE-14B",
        "539c162b1387eac9dc4c20bd3f74671309e76a4c",
        _LARGE,
    ),
    _row(
        "vace-1.3b-preview",
        "VACE 1.3B Preview",
        "ali-vilab/VACE-Wan2.1-1.3B-Preview",
        "main",
        _SMALL,
        "An early state of Wan2.1 VACE 1.3B.",
    ),
)
