"""The models that PAI made from the official ones: Fun-InP, Fun-Control, Fun-Control-Camera. No torch."""

from __future__ import annotations

import dataclasses

from wan_core.catalog.official import ROWS as OFFICIAL
from wan_core.catalog.parts import CLIP, FIRST_AND_LAST, IMAGE, SIZES_480P, SIZES_720P, TOKENIZER, UMT5, VAE
from wan_core.catalog.spec import ModelSpec, Role, SamplingDefaults, TaskInputs, WeightFiles
from wan_core.models.clip.config import CLIPConfig
from wan_core.models.dit.config import DiTConfig
from wan_core.schema.request import Task

_OFFICIAL = {row.id: row for row in OFFICIAL}
_SMALL, _LARGE = _OFFICIAL["wan2.1-t2v-1.3b"], _OFFICIAL["wan2.1-t2v-14b"]

_CUT = ("fit", "match_input", "crops")
_PART_OF_STEPS = ("control_start", "control_end")
_FOLLOWING = ("image", "preprocess", "video_start", "video_end", *_PART_OF_STEPS, *_CUT)

INP_TASKS: dict[Task, TaskInputs] = {
    "i2v": IMAGE,
    "flf2v": FIRST_AND_LAST,
    "t2v": TaskInputs("image"),
}
CONTROL_TASKS: dict[Task, TaskInputs] = {"control": TaskInputs("fun_control", ("video",), _FOLLOWING)}
REFERENCE_TASKS: dict[Task, TaskInputs] = {
    "control": TaskInputs("fun_control", ("video",), ("references", *_FOLLOWING), max_references=1)
}
CAMERA_TASKS: dict[Task, TaskInputs] = {
    "control": TaskInputs(
        "camera",
        ("image",),
        ("camera_motion", "camera_speed", "camera_poses", "camera_rotation", *_PART_OF_STEPS, *_CUT),
    )
}


def _row(title: str, inputs: dict[Task, TaskInputs], dit: DiTConfig, size: int, **known: str) -> ModelSpec:
    """The row of ``alibaba-pai/Wan2.1-Fun-<title>``.

    Args:
        title: as in the repository's name.
        inputs: what it takes.
        dit: sizes of its transformer.
        size: bytes of the transformer; where ``sha256`` is not known, they follow from its parameters.
        known: ``revision`` and ``sha256`` of the transformer.
    """
    large = dit.dim == _LARGE.dit.dim
    digest = (known["sha256"],) if "sha256" in known else ()
    return ModelSpec(
        id=f"wan2.1-fun-{title.lower()}",
        title=f"Wan2.1 Fun {title.replace('-', ' ')}",
        inputs=inputs,
        repo=f"alibaba-pai/Wan2.1-Fun-{title}",
        revision=known.get("revision", "main"),
        licence="Apache-2.0",
        dit=dit,
        vae=_SMALL.vae,
        text_encoder=_SMALL.text_encoder,
        weights={
            Role.TRANSFORMER: WeightFiles(("diffusion_pytorch_model.safetensors",), size, digest),
            Role.TEXT_ENCODER: UMT5,
            Role.VAE: VAE,
            Role.IMAGE_ENCODER: CLIP,
        },
        tokenizer=TOKENIZER,
        defaults=SamplingDefaults(width=832, height=480, guidance_scale=6.0, shift=3.0),
        sizes=SIZES_480P + SIZES_720P if large else SIZES_480P,
        max_frames=257,
        image_encoder=CLIPConfig(),
    )


def _inp(base: DiTConfig) -> DiTConfig:
    return dataclasses.replace(base, in_dim=36, image_dim=CLIPConfig.dim)


def _control(base: DiTConfig, reference_dim: int = 0) -> DiTConfig:
    return dataclasses.replace(base, in_dim=48, image_dim=CLIPConfig.dim, reference_dim=reference_dim)


def _camera(base: DiTConfig) -> DiTConfig:
    return dataclasses.replace(base, in_dim=32, image_dim=CLIPConfig.dim, camera_dim=24)


_S, _L = _SMALL.dit, _LARGE.dit

ROWS: tuple[ModelSpec, ...] = (
    _row(
        "V1.1-1.3B-InP",
        INP_TASKS,
        _inp(_S),
        3_128_957_992,
        revision="fc913c34361f4ec879e2f9c78b4f11ae50a937d1",
        sha256="4ec199076538b946935ebcb3ba808d3c427e638f29519a3c3c98d31d821e5eed",
    ),
    _row("V1.1-14B-InP", INP_TASKS, _inp(_L), 32_789_894_056),
    _row(
        "1.3B-InP",
        INP_TASKS,
        _inp(_S),
        3_128_957_992,
        sha256="8495d2b1673ffb18abb548a64ff3b0e4bd367734f653096f7a8a3ad46954d511",
    ),
    _row("14B-InP", INP_TASKS, _inp(_L), 32_789_894_056),
    _row("V1.1-1.3B-Control", REFERENCE_TASKS, _control(_S, 16), 3_129_305_312),
    _row("V1.1-14B-Control", REFERENCE_TASKS, _control(_L, 16), 32_791_051_360),
    _row(
        "1.3B-Control",
        CONTROL_TASKS,
        _control(_S),
        3_129_105_448,
        revision="8b88990b844ec9e812e6bf7d2a474fcc21db9d6e",
        sha256="9ff6289322b41bf187206eac2a57e85ce85c9ee5bfe8bc44eabeaeb86b44129a",
    ),
    _row(
        "14B-Control",
        CONTROL_TASKS,
        _control(_L),
        32_790_385_576,
        sha256="c3964786fab26a715ef5421a9e19f7130a0cec0e23c18999118209347e9891c6",
    ),
    _row("V1.1-1.3B-Control-Camera", CAMERA_TASKS, _camera(_S), 3_232_727_784),
    _row("V1.1-14B-Control-Camera", CAMERA_TASKS, _camera(_L), 33_796_394_608),
)
